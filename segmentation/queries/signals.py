"""The signals of the enrollments of a course, at any instant."""

import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from activity.models import Course
from segmentation.compiler import compile_signals
from segmentation.models import Segment, SegmentStatus
from segmentation.queries.norms import norms_needed
from segmentation.queries.statements import fetched, with_learners
from segmentation.rules import conditions, parse
from segmentation.signals import SignalRef, SignalValue, Subject, needs_of, usual_refs


@dataclass(frozen=True)
class SignalRow:
    """One enrollment in scope with the requested signals, by identity."""

    enrollment_id: int
    learner: str
    signals: dict[str, SignalValue]


def read_signals(
    course: Course,
    refs: Sequence[SignalRef],
    *,
    as_of: datetime,
    enrollment_ids: list[int] | None = None,
) -> Iterator[SignalRow]:
    """Yield the signals of every enrollment in scope, in enrollment order.

    One query, up to three if a signal needs norms.
    """
    norms = norms_needed(course, needs_of(refs), as_of=as_of)
    reading = compile_signals(refs, Subject(course.pk, as_of, enrollment_ids, norms))
    sql = f"{with_learners(reading, list(reading.signals.values()))} ORDER BY x.enrollment_id"
    traits = {ref.identity for ref in refs if ref.signal.is_trait}
    for enrollment_id, learner, *values in fetched(sql, reading.params):
        signals = dict(zip(reading.signals, values, strict=True))
        yield SignalRow(enrollment_id, learner, signals | _read_traits(traits, signals))


def export_refs(course: Course) -> list[SignalRef]:
    """Return the signals in an export of the course, in the order of the columns. One query.

    Every signal over the usual windows comes first, then other signals in the rules of the course's
    active segments.
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


def _read_traits(identities: Collection[str], signals: dict[str, Any]) -> dict[str, Any]:
    """Return the traits as data. A plain cursor returns their JSON as text."""
    return {name: json.loads(text) for name in identities if (text := signals[name]) is not None}
