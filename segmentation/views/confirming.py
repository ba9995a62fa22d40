"""Ask before a save moves learners, messages them or ends memberships."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256

from django.contrib.auth.models import AnonymousUser, User
from django.http import QueryDict

from common.clock import utc_now
from segmentation import rules
from segmentation.admin.activation import present_in
from segmentation.models import Segment
from segmentation.operations.segments import EVALUATED
from segmentation.queries import courses_of_playbook, segment_size
from segmentation.views.answers import counted, said
from segmentation.views.people import moves_of
from segmentation.views.rule_form import RuleForm

Staff = User | AnonymousUser
# The lines of a confirmation. Each is a count of a course.
MOST_LINES = 10
MOST_MEMBERS = 100_000
_TYPED = ("name", "description", "rule", "leave_rule")


@dataclass(frozen=True)
class Confirmation:
    """What would happen, and the button that does it. `value` names what was typed."""

    title: str
    lines: list[str]
    button: str
    value: str
    offers_present: bool = False


def requested(typed: QueryDict) -> tuple[str, bool]:
    """Return the action of the pressed button, and whether exactly this was confirmed."""
    if "confirmed" not in typed:
        return typed.get("action", ""), False
    action, _, token = typed.get("confirmed", "").partition(":")
    return action, token == _token(typed)


def confirmation(
    action: str, segment: Segment, form: RuleForm, *, viewer: Staff
) -> Confirmation | None:
    """Return the question before the action, or None if it needs none."""
    ask = _QUESTIONS.get(action)
    return ask(segment, form, viewer) if ask else None


def _token(typed: Mapping[str, str]) -> str:
    texts = "\0".join(typed.get(name, "") for name in _TYPED)
    return sha256(texts.encode()).hexdigest()[:16]


def _value(action: str, form: RuleForm) -> str:
    return f"{action}:{_token(form.data)}"


def _edit(segment: Segment, form: RuleForm, viewer: Staff) -> Confirmation | None:
    """Ask before an edit of the rules of a segment that is evaluated."""
    typed = [form.cleaned_data[name] for name in ("rule", "leave_rule")]
    if segment.status not in EVALUATED or typed == [segment.rule, segment.leave_rule]:
        return None
    return Confirmation(
        title="Save the new rule? Learners enter and leave within seconds.",
        lines=_moves(segment, typed, viewer),
        button="Yes, save it",
        value=_value("save", form),
        offers_present=True,
    )


def _moves(segment: Segment, typed: list[object], viewer: Staff) -> list[str]:
    read = [None if rule is None else rules.parse(rule) for rule in typed]
    parsed = dict(zip(("rule", "leave_rule"), read, strict=True))
    courses = list(courses_of_playbook(segment.playbook_id, viewer=viewer)[: MOST_LINES + 1])
    lines = []
    for course in courses[:MOST_LINES]:
        as_of = course.clock_stopped_at or utc_now()
        found = counted(parsed, course, segment, as_of=as_of)
        lines.append(f"{course}: {found if isinstance(found, str) else said(found, segment)}")
        if not isinstance(found, str):
            lines += moves_of(found, segment, viewer)
    if len(courses) > MOST_LINES:
        lines.append("The playbook is kept for more courses, which are not counted here.")
    return lines or ["The playbook is kept for no course, so nobody enters or leaves."]


def _present(segment: Segment, form: RuleForm, viewer: Staff) -> Confirmation:
    """Ask before learners who are already in the segment are messaged."""
    typed = Segment(
        playbook=segment.playbook, status=segment.status, rule=form.cleaned_data["rule"]
    )
    present = present_in(typed, viewer)
    learners = "1 learner" if present.learners == 1 else f"{present.learners:,} learners"
    return Confirmation(
        title=f"Activate, and message also those already in? Up to {learners} would start cadences"
        " and be drawn for experiments.",
        lines=[*present.lines, "Caps, quiet hours and opt-outs apply as always."],
        button="Yes, activate and message them",
        value=_value("activate_present", form),
    )


def _archive(segment: Segment, form: RuleForm, viewer: Staff) -> Confirmation:
    size = segment_size(segment.pk, up_to=MOST_MEMBERS, viewer=viewer)
    members = f"{size:,}" if size <= MOST_MEMBERS else f"more than {MOST_MEMBERS:,}"
    return Confirmation(
        title="Archive the segment? It is no longer evaluated.",
        lines=[
            f"Its members leave: {members}. Nobody is messaged because of this.",
            "Cadences that end when a learner leaves the segment end for them.",
            "You can activate the segment again. Its members then enter as if it were new.",
        ],
        button="Yes, archive it",
        value=_value("archive", form),
    )


_QUESTIONS: dict[str, Callable[[Segment, RuleForm, Staff], Confirmation | None]] = {
    "save": _edit,
    "activate_present": _present,
    "archive": _archive,
}
