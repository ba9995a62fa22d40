"""What is asked of segments and rules. Reads only, at any instant, past ones included."""

# Every value is bound; what is put into the text comes from the compiler.
# ruff: noqa: S608

import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from django.db import connection
from django.db.models import Count, OuterRef, QuerySet, Subquery

from activity.models import Course, Enrollment
from common.clock import local_date
from segmentation.compiler import (
    Reading,
    SegmentRules,
    compile_reading,
    compile_signals,
)
from segmentation.models import (
    Membership,
    Norms,
    Segment,
    SegmentStatus,
    Surge,
    SurgeState,
    WaitingEntry,
)
from segmentation.norms import NormsValues, compile_norms, read_norms
from segmentation.outbox import enrollments_to_react, oldest_waiting, open_transitions
from segmentation.rules import Group, conditions, parse
from segmentation.signals import Need, SignalRef, SignalValue, Subject, needs_of, usual_refs

__all__ = [
    "HeldSurge",
    "Preview",
    "SignalRow",
    "clock_of_playbook",
    "compute_norms",
    "current_segment_ids",
    "enrollments_to_react",
    "export_refs",
    "held_surges",
    "match_rule",
    "norms_for",
    "oldest_waiting",
    "open_transitions",
    "preview",
    "read_signals",
    "segment_size",
    "segment_sizes",
    "stored_norms",
]


@dataclass(frozen=True)
class Preview:
    """Whom a rule would match: how many of how many in scope, and their external ids, sorted."""

    matches: int
    of: int
    learners: list[str]


@dataclass(frozen=True)
class SignalRow:
    """One enrollment in scope with the signals that were asked for, by identity."""

    enrollment_id: int
    learner: str
    signals: dict[str, SignalValue]


@dataclass(frozen=True)
class HeldSurge:
    """Who entered a segment by time alone on a day of a course and waits: how many of how many."""

    id: int
    course: str
    day: date
    of: int
    waiting: int


def compute_norms(course_id: int, day: date) -> NormsValues:
    """Return the course's norms on the day, from what occurred before it began. One query."""
    sql, params = compile_norms(course_id, day)
    ((computed,),) = _rows(sql, params)
    return read_norms(json.loads(computed)) or NormsValues()


def norms_for(course_id: int, day: date) -> NormsValues:
    """Return the norms of the day as they are now, storing nothing. Up to two queries.

    They are computed where none are stored, and where the course's past has changed since.
    """
    current = Norms.objects.filter(course__past_changes=None)
    return stored_norms(course_id, day, among=current) or compute_norms(course_id, day)


def stored_norms(
    course_id: int, day: date, *, among: QuerySet[Norms] | None = None
) -> NormsValues | None:
    """Return the norms that are stored for the day, None if none are or one is new. One query."""
    rows = Norms.objects.all() if among is None else among
    stored = rows.filter(course_id=course_id, day=day).first()
    return None if stored is None else read_norms(stored.figures)


def match_rule(rule: Group, *, enrollment_ids: Sequence[int], as_of: datetime) -> set[int]:
    """Return those of the enrollments that are in scope and for which the rule is true.

    Two queries, and for each course among them one more (up to three where the rule needs norms).
    """
    by_course: dict[int, list[int]] = {}
    chosen = Enrollment.objects.filter(pk__in=enrollment_ids).values_list("course_id", "pk")
    for course_id, enrollment_id in chosen:
        by_course.setdefault(course_id, []).append(enrollment_id)
    courses = Course.objects.in_bulk(by_course)
    found: set[int] = set()
    for course_id, ids in by_course.items():
        reading = _read_rule(rule, courses[course_id], as_of=as_of, enrollment_ids=ids)
        sql = f"SELECT x.enrollment_id FROM ({reading.sql}) x WHERE x.{reading.rule_columns[0]}"
        found.update(enrollment_id for (enrollment_id,) in _rows(sql, reading.params))
    return found


def preview(rule: Group, course: Course, *, as_of: datetime) -> Preview:
    """Return whom the rule matches in the course. One query, up to three where it needs norms."""
    reading = _read_rule(rule, course, as_of=as_of, enrollment_ids=None)
    sql = _with_learners(reading, [reading.rule_columns[0]])
    rows = list(_rows(sql, reading.params))
    learners = sorted(learner for _, learner, matches in rows if matches)
    return Preview(matches=len(learners), of=len(rows), learners=learners)


def read_signals(
    course: Course,
    refs: Sequence[SignalRef],
    *,
    as_of: datetime,
    enrollment_ids: list[int] | None = None,
) -> Iterator[SignalRow]:
    """Yield the signals of every enrollment in scope, in enrollment order.

    One query, up to three where a signal needs norms.
    """
    norms = _norms(course, needs_of(refs), as_of=as_of)
    reading = compile_signals(refs, Subject(course.pk, as_of, enrollment_ids, norms))
    sql = f"{_with_learners(reading, list(reading.signals.values()))} ORDER BY x.enrollment_id"
    traits = {ref.identity for ref in refs if ref.signal.is_trait}
    for enrollment_id, learner, *values in _rows(sql, reading.params):
        signals = dict(zip(reading.signals, values, strict=True))
        yield SignalRow(enrollment_id, learner, signals | _read_traits(traits, signals))


def export_refs(course: Course) -> list[SignalRef]:
    """Return the signals that an export of the course has, in the order of its columns. One query.

    Every signal over the usual windows, then whatever else the course's active segments ask for.
    """
    kept = Segment.objects.filter(playbook__courses=course, status=SegmentStatus.ACTIVE)
    rules = [
        parse(shape)
        for pair in kept.order_by("pk").values_list("rule", "leave_rule")
        for shape in pair
        if shape is not None
    ]
    asked = [condition.ref for rule in rules for condition in conditions(rule)]
    return list(dict.fromkeys([*usual_refs(), *asked]))


def current_segment_ids(enrollment_id: int) -> set[int]:
    """Return the segments that the enrollment is in now. One query."""
    current = Membership.objects.filter(enrollment_id=enrollment_id, left_at__isnull=True)
    return set(current.values_list("segment_id", flat=True))


def segment_sizes() -> dict[int, int]:
    """Return how many enrollments are in each segment now, leaving out empty ones. One query."""
    current = Membership.objects.filter(left_at__isnull=True)
    sizes = current.order_by().values("segment_id").annotate(size=Count("pk"))
    return dict(sizes.values_list("segment_id", "size"))


def segment_size(segment_id: int, *, up_to: int) -> int:
    """Return how many enrollments are in the segment now, at most `up_to` + 1. One query."""
    current = Membership.objects.filter(segment_id=segment_id, left_at__isnull=True)
    # Counting stops there: a list of segments must not read a million rows to say "many".
    return current.order_by()[: up_to + 1].count()


def held_surges(segment_id: int) -> list[HeldSurge]:
    """Return the days on which too many entered by time alone and wait for staff. One query."""
    held = Surge.objects.filter(segment_id=segment_id, state=SurgeState.HELD)
    entries = WaitingEntry.objects.filter(
        segment=OuterRef("segment"), course=OuterRef("course"), day=OuterRef("day")
    )
    counted = entries.order_by().values("course").annotate(size=Count("pk")).values("size")
    waiting = held.select_related("course").annotate(waiting=Subquery(counted))
    return [
        HeldSurge(one.pk, str(one.course), one.day, one.of, one.waiting)
        for one in waiting.filter(waiting__gt=0)
    ]


def clock_of_playbook(playbook_id: int) -> datetime | None:
    """Return where the clock of the playbook's courses stopped, None where one of them runs on."""
    clocks = Course.objects.filter(playbooks=playbook_id)
    stopped = list(clocks.order_by().values_list("clock_stopped_at", flat=True).distinct())
    # None, a clock that runs, is among them or nothing is.
    return max((at for at in stopped if at), default=None) if None not in stopped else None


def _norms(course: Course, needs: frozenset[Need], *, as_of: datetime) -> NormsValues | None:
    if Need.NORMS not in needs:
        return None
    return norms_for(course.pk, local_date(as_of, course.time_zone))


def _read_rule(
    rule: Group, course: Course, *, as_of: datetime, enrollment_ids: list[int] | None
) -> Reading:
    """Return the reading of a rule that belongs to no segment: its column is that of segment 0."""
    rules = SegmentRules(0, rule)
    return compile_reading(
        [rules],
        course_id=course.pk,
        as_of=as_of,
        enrollment_ids=enrollment_ids,
        norms=_norms(course, rules.needs(), as_of=as_of),
    )


def _with_learners(reading: Reading, columns: list[str]) -> str:
    """Return a SELECT of enrollment, external id and the columns, for those in scope."""
    wanted = ", ".join(["x.enrollment_id", "learner.external_id", *(f'x."{c}"' for c in columns)])
    return f"""
        SELECT {wanted}
        FROM ({reading.sql}) x
        JOIN activity_enrollment enrollment ON enrollment.id = x.enrollment_id
        JOIN activity_learner learner ON learner.id = enrollment.learner_id
        WHERE x.in_scope"""


def _read_traits(identities: Collection[str], signals: dict[str, Any]) -> dict[str, Any]:
    """Return the traits as the data that they are; a plain cursor gives their JSON as text."""
    return {name: json.loads(text) for name in identities if (text := signals[name]) is not None}


def _rows(sql: str, params: dict[str, Any]) -> Iterator[tuple[Any, ...]]:
    """Yield the rows of the statement."""
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        yield from cursor.fetchall()
