"""Why one enrollment is or is not in each of its course's segments."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from activity.access import Viewer, for_user
from activity.models import Enrollment
from segmentation.models import (
    Membership,
    Override,
    PlaybookMode,
    Segment,
    SegmentStatus,
    WaitingEntry,
)
from segmentation.queries.signals import read_signals
from segmentation.rules import Group, RuleError, Verdict, conditions, evaluate, parse, verdicts
from segmentation.signals import SignalValue

# More segments than anybody looks through. Playbooks have five.
MOST = 50


@dataclass(frozen=True)
class Standing:
    """An enrollment and a segment: the membership if any, and how each condition is met.

    `matches` is the result of the rule; None is unknown. `verdicts` is None if the enrollment is
    not in scope, or if the rule cannot be read. `leaving`: the rule for leaving is true, so that no
    learner enters. `ahead` is the segment of an exclusive playbook that keeps the learner. `waits`:
    nothing has started for the membership, because the entries of its day are being counted.
    """

    segment: Segment
    membership: Membership | None
    override: Override | None
    in_scope: bool
    matches: bool | None
    verdicts: list[Verdict] | None
    leaving: bool
    ahead: Segment | None
    waits: bool

    @property
    def is_frozen(self) -> bool:
        return self.segment.status == SegmentStatus.FROZEN


def standings(enrollment: Enrollment, *, as_of: datetime, viewer: Viewer) -> list[Standing]:
    """Return the enrollment's standing in each segment that is kept for its course.

    Current members come first. Five queries, two more if a rule needs norms. The course must be
    loaded.
    """
    segments = _segments(enrollment, viewer)
    current = Membership.objects.filter(enrollment=enrollment, left_at=None)
    held = {each.segment_id: each for each in current}
    made = Override.objects.select_related("created_by").filter(enrollment=enrollment)
    overrides = {each.segment_id: each for each in made}
    waiting = set(
        WaitingEntry.objects.filter(enrollment=enrollment).values_list("segment_id", flat=True)
    )
    rules = {each.pk: rule for each in segments if (rule := _rule(each.rule)) is not None}
    leave = {each.pk: rule for each in segments if (rule := _rule(each.leave_rule)) is not None}
    signals = _signals(enrollment, [*rules.values(), *leave.values()], as_of)
    found = []
    for segment in segments:
        rule = rules.get(segment.pk)
        known = rule is not None and signals is not None
        found.append(
            Standing(
                segment=segment,
                membership=held.get(segment.pk),
                override=overrides.get(segment.pk),
                in_scope=signals is not None,
                matches=evaluate(rule, signals) if rule and signals is not None else None,
                verdicts=verdicts(rule, signals) if rule and signals is not None else None,
                leaving=_is_true(leave.get(segment.pk), signals),
                ahead=_ahead(segment, segments, held) if known else None,
                waits=segment.pk in waiting,
            )
        )
    return sorted(found, key=lambda each: each.membership is None)


def _segments(enrollment: Enrollment, viewer: Viewer) -> list[Segment]:
    kept = Segment.objects.filter(
        playbook__courses=enrollment.course_id,
        status__in=(SegmentStatus.ACTIVE, SegmentStatus.FROZEN),
    )
    ordered = kept.select_related("playbook").order_by("playbook_id", "priority", "key")
    return list(for_user(ordered, viewer)[:MOST])


def _rule(shape: object) -> Group | None:
    if shape is None:
        return None
    try:
        return parse(shape)
    except RuleError:
        return None


def _is_true(rule: Group | None, signals: Mapping[str, SignalValue] | None) -> bool:
    return rule is not None and signals is not None and evaluate(rule, signals) is True


def _signals(
    enrollment: Enrollment, rules: Iterable[Group], as_of: datetime
) -> dict[str, SignalValue] | None:
    """Return the signals of all rules, or None if the enrollment is not in scope."""
    refs = list(dict.fromkeys(part.ref for rule in rules for part in conditions(rule)))
    rows = read_signals(enrollment.course, refs, as_of=as_of, enrollment_ids=[enrollment.pk])
    return next((row.signals for row in rows), None)


def _ahead(
    segment: Segment, segments: list[Segment], held: dict[int, Membership]
) -> Segment | None:
    if segment.playbook.mode != PlaybookMode.EXCLUSIVE or segment.pk in held:
        return None
    # The segments are in the order of their priority. The next evaluation moves the learner out of
    # a later one, unless it is frozen.
    place = segments.index(segment)
    return next(
        (
            each
            for number, each in enumerate(segments)
            if each.playbook_id == segment.playbook_id
            and each.pk in held
            and (number < place or each.status == SegmentStatus.FROZEN)
        ),
        None,
    )
