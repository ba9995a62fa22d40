"""What the rules on the screen say and whom they match, in words. Nothing is saved."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.contrib.auth.models import AnonymousUser, User
from django.http import QueryDict
from django.template.loader import render_to_string

from activity.access import for_user
from activity.models import Course, Enrollment
from common.clock import utc_now
from common.database import in_time
from common.dates import instant_text
from segmentation.admin.preview import LARGEST_COURSE, LONGEST_SECONDS, TOO_MUCH
from segmentation.models import Segment
from segmentation.operations.segments import EVALUATED
from segmentation.queries import RuleCount, count_rule
from segmentation.rules import (
    NOTHING_KNOWN,
    Combinator,
    Condition,
    Group,
    Known,
    canonical_rule,
    conditions,
    explain,
    find_faults,
    heading,
    parse,
    sentence,
    split_place,
    with_paths,
)
from segmentation.signals import SignalRef
from segmentation.views.people import ShownLearner, examples_of, moves_of
from segmentation.views.rule_form import names_for, offered_courses, read_id

Staff = User | AnonymousUser
NAMES = ("rule", "leave_rule")


@dataclass
class Answer:
    """What the page shows: a sentence, the two rules in words, examples, counts and faults."""

    said: str = ""
    sentences: dict[str, str] = field(default_factory=dict)
    moment: str = ""
    columns: list[str] = field(default_factory=list)
    examples: list[ShownLearner] = field(default_factory=list)
    nobody: list[str] = field(default_factory=list)
    moves: list[str] = field(default_factory=list)
    faults: dict[str, list[dict[str, str]]] = field(default_factory=dict)
    counts: dict[str, dict[str, str]] = field(default_factory=dict)
    courses: list[dict[str, str]] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """Return the answer for the builder. The part that needs no script is HTML."""
        html = render_to_string("segmentation/count.html", {"answer": self})
        counts = {name: self.counts.get(name, {}) for name in NAMES}
        return {
            "said": self.said,
            "html": html,
            "sentences": self.sentences,
            "faults": self.faults,
            "counts": counts,
            "courses": self.courses,
        }


def answer_for(typed: QueryDict, segment: Segment, viewer: Staff) -> Answer:
    """Return the answer to what was typed, for a segment that may be unsaved."""
    answer = Answer()
    known = names_for(segment, viewer) if any(typed.get(name) for name in NAMES) else NOTHING_KNOWN
    rules = {name: _read(typed.get(name, ""), name, answer, known) for name in NAMES}
    offered = offered_courses(segment, viewer).courses
    course = _course(typed.get("course", ""), offered)
    answer.courses = [{"value": str(one.pk), "text": str(one)} for one in offered]
    rule = rules["rule"]
    if any(answer.faults.values()):
        answer.said = "The rule has a fault, so nobody is counted."
    elif rule is None:
        answer.said = "There is no rule yet."
    elif course is None:
        answer.said = "There is no course yet in which learners could be counted."
    else:
        _count(answer, rules, course, segment, viewer)
    return answer


def _course(text: str, offered: list[Course]) -> Course | None:
    """Return the chosen course, or the first if it is not offered for this playbook."""
    chosen = [one for one in offered if one.pk == read_id(text)]
    return next(iter(chosen or offered), None)


def _read(text: str, name: str, answer: Answer, known: Known) -> Group | None:
    """Note the faults of one rule, or its sentence. Return the rule."""
    answer.faults[name] = []
    if not text.strip():
        return None
    found = find_faults(text, known)
    for fault in found.faults:
        at, key = split_place(fault.path)
        words = {"at": at, "key": key, "place": fault.path, "sentence": sentence(fault)}
        answer.faults[name].append(words)
    if found.faults:
        return None
    rule = parse(canonical_rule(found.data))
    answer.sentences[name] = f"{explain(rule)}."
    return rule


def _count(
    answer: Answer, rules: dict[str, Group | None], course: Course, segment: Segment, viewer: Staff
) -> None:
    enrolled = for_user(Enrollment.objects.all(), viewer).filter(course=course).order_by()
    if enrolled[: LARGEST_COURSE + 1].count() > LARGEST_COURSE:
        answer.said = TOO_MUCH.format(course=course)
        return
    as_of = course.clock_stopped_at or utc_now()
    found = counted(rules, course, segment, as_of=as_of)
    if isinstance(found, str):
        answer.said = found
        return
    answer.said = said(found, segment)
    answer.moment = f"{course}, {instant_text(as_of, zone=course.time_zone)}"
    answer.moves = moves_of(found, segment, viewer)
    answer.counts["rule"] = _condition_counts(rules["rule"], found)
    refs = _refs(rules)
    answer.columns = [heading(ref) for ref in refs]
    answer.examples = examples_of(found.examples, refs, viewer)
    answer.nobody = list(_why_nobody(rules["rule"], found))


def counted(
    rules: dict[str, Group | None], course: Course, segment: Segment, *, as_of: datetime
) -> RuleCount | str:
    """Return the counts in the course, or a sentence on why the database gave none in time."""
    rule, leave_rule = rules["rule"], rules["leave_rule"]
    if rule is None:
        raise ValueError("there is no rule to count")
    return in_time(
        lambda: count_rule(rule, leave_rule, course, as_of=as_of, segment=segment),
        seconds=LONGEST_SECONDS,
    )


def said(found: RuleCount, segment: Segment) -> str:
    """Return the counts as a sentence: "312 of 4,980 learners; 41 enter, 12 leave"."""
    words = f"{found.matches:,} of {found.of:,} learners"
    if segment.pk and segment.status in EVALUATED:
        words += f"; {found.enter:,} enter, {found.leave:,} leave"
    if found.taken:
        words += f". {found.taken:,} of them stay in a segment that comes first"
    return f"{words}."


def _condition_counts(rule: Group | None, found: RuleCount) -> dict[str, str]:
    if rule is None:
        return {}
    by_condition = {each.condition: each for each in found.conditions}
    return {
        path: _true_for(by_condition[condition].true, by_condition[condition].unknown, found.of)
        for path, condition in with_paths(rule)
        if condition in by_condition
    }


def _true_for(true: int, unknown: int, of: int) -> str:
    words = f"True for {true:,} of {of:,} learners"
    return f"{words}, unknown for {unknown:,}." if unknown else f"{words}."


def _why_nobody(rule: Group | None, found: RuleCount) -> Iterator[str]:
    if not found.of:
        yield "The course has no learners in scope now."
    elif not found.matches and rule is not None:
        counts = {each.condition: each for each in found.conditions}
        never = [counts[one] for one in _needed(rule) if one in counts and not counts[one].true]
        for each in never:
            unknown = each.unknown == found.of
            words = "is unknown for everybody" if unknown else "is true for nobody"
            yield f"“{explain(each.condition)}” {words}."
        if not never:
            yield "Each of its parts is true for somebody, but never all together."


def _needed(rule: Group) -> Iterator[Condition]:
    """Yield the conditions without which the rule is true for nobody: the parts of each "and"."""
    if rule.negated or (rule.combinator is Combinator.OR and len(rule.rules) > 1):
        return
    for part in rule.rules:
        if isinstance(part, Condition):
            yield part
        else:
            yield from _needed(part)


def _refs(rules: dict[str, Group | None]) -> list[SignalRef]:
    """Return the signals of the rules, each once, in the order of the conditions."""
    read = [rule for rule in rules.values() if rule is not None]
    return list(dict.fromkeys(each.ref for rule in read for each in conditions(rule)))
