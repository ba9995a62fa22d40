"""Evaluate one enrollment at future instants, as if nothing happened meanwhile. Writes nothing."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

from django.db import connection

from activity.models import Enrollment
from common.clock import local_date
from segmentation.norms import NormsValues
from segmentation.operations.definitions import Definitions, read_definitions
from segmentation.operations.differences import (
    Batch,
    Part,
    compile_batch,
    difference_params,
    difference_sql,
    norms_needed_by,
)
from segmentation.queries import current_segment_ids, norms_for
from segmentation.signals import SignalValue

DAYS = 14
# With rules over several windows, an enrollment is due at each midnight and at some instants
# between.
MOST_EVALUATIONS = 40
# To compute the norms of a larger course takes longer than a page may. Stored ones are used there.
MOST_TO_COMPUTE = 20_000

_STEP = """
WITH {difference}
SELECT next_due,
    ARRAY(SELECT segment_id FROM difference WHERE membership_id IS NULL),
    ARRAY(SELECT segment_id FROM difference WHERE membership_id IS NOT NULL),
    to_jsonb(reading)
FROM reading
"""


@dataclass(frozen=True)
class Change:
    """The segments that the enrollment enters and leaves at an instant, and its signals then.

    Not in scope means that the course is over for it, or has not begun.
    """

    at: datetime
    in_scope: bool
    entered: tuple[int, ...]
    left: tuple[int, ...]
    signals: dict[str, SignalValue]


@dataclass(frozen=True)
class Forecast:
    """The changes until an instant, in order. `until` is earlier if the limit was reached."""

    changes: list[Change]
    until: datetime


def forecast(enrollment: Enrollment, *, now: datetime, days: int = DAYS) -> Forecast:
    """Return the segments that the enrollment enters and leaves by passing time alone.

    It follows the evaluation from one due instant to the next. It does not know a silent feed,
    which holds such changes back. The norms of later days are those of tomorrow, but in a course of
    more than 20,000 enrollments those of today. One query an evaluation, and up to eight more. The
    course must be loaded.
    """
    walk = _Walk(enrollment, read_definitions(enrollment.course_id), now)
    end = now + timedelta(days=days)
    steps = list(walk.steps(end))
    is_cut = len(steps) == MOST_EVALUATIONS
    changes = [change for change, _ in steps if change.entered or change.left]
    return Forecast(changes, steps[-1][0].at if is_cut else end)


@dataclass
class _Walk:
    """One enrollment, whose memberships are moved forward in memory."""

    enrollment: Enrollment
    definitions: Definitions
    now: datetime

    def steps(self, end: datetime) -> Iterator[tuple[Change, datetime | None]]:
        """Yield the changes and the next due instant of each evaluation."""
        held, at = current_segment_ids(self.enrollment.pk), self.now
        for _ in range(MOST_EVALUATIONS):
            change, next_due = self._evaluate(held, at)
            yield change, next_due
            held = held.union(change.entered).difference(change.left)
            if next_due is None or next_due > end:
                return
            # As after a real evaluation, the next instant is later than this one.
            at = max(next_due, at + timedelta(seconds=1))

    def _evaluate(self, held: set[int], at: datetime) -> tuple[Change, datetime | None]:
        pk = self.enrollment.pk
        part = Part(course=self.enrollment.course, enrollment_ids=[pk], norms=self._norms(at))
        assumed = [(pk, segment_id) for segment_id in sorted(held)]
        batch = Batch(parts=[part], as_of=at, assumed=assumed)
        reading = compile_batch(self.definitions.active, batch)
        sql = difference_sql(self.definitions, reading, is_assumed=True)
        with connection.cursor() as cursor:
            cursor.execute(
                _STEP.format(difference=sql), difference_params(self.definitions, reading, batch)
            )
            next_due, entered, left, row = cursor.fetchone()
        read = json.loads(row)
        names = reading.signals if reading else {}
        signals = {identity: read[alias] for identity, alias in names.items()}
        change = Change(at, read["in_scope"], tuple(sorted(entered)), tuple(sorted(left)), signals)
        return change, next_due

    def _norms(self, at: datetime) -> NormsValues | None:
        if not self._names:
            return None
        day = local_date(at, self.enrollment.course.time_zone)
        return self._norms_today if day == self._today else self._norms_later

    @cached_property
    def _names(self) -> tuple[str, ...]:
        return norms_needed_by(self.definitions.active)

    @cached_property
    def _today(self) -> Any:
        return local_date(self.now, self.enrollment.course.time_zone)

    @cached_property
    def _norms_today(self) -> NormsValues:
        return norms_for(self.enrollment.course_id, self._today, self._names)

    @cached_property
    def _norms_later(self) -> NormsValues:
        course_enrollments = self.enrollment.course.enrollments.order_by()
        if course_enrollments[: MOST_TO_COMPUTE + 1].count() > MOST_TO_COMPUTE:
            return self._norms_today
        # Nothing happens until then, so each later day has the same events before its midnight.
        return norms_for(self.enrollment.course_id, self._today + timedelta(days=1), self._names)
