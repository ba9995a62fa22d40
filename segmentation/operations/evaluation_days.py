"""Note what the evaluations of the days of courses took. Staff read it on the page of a segment."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from django.db import connection, transaction

from activity.models import Course
from common.clock import local_date
from common.database import passing_over_held, wait_shortly
from common.stored_text import storable_text

KEPT_DAYS = 90
LONGEST_ERROR = 2_000

# One row per course and day, so several workers add to one row. Each holds it only for this
# statement. Old days are deleted here, because a stage for it would find nothing at every beat.
_NOTE = """
WITH added AS (
    SELECT * FROM unnest(%(course)s::bigint[], %(day)s::date[], %(batches)s::int[],
        %(evaluated)s::int[], %(entered)s::int[], %(left)s::int[], %(failed)s::int[],
        %(seconds)s::float8[], %(as_of)s::timestamptz[], %(error)s::text[])
    AS one (course_id, day, batches, evaluated, entered, "left", failed, seconds, as_of, error)
), old AS (
    DELETE FROM segmentation_evaluationday AS noted USING added
    WHERE noted.course_id = added.course_id AND noted.day < added.day - %(kept_days)s::int
)
INSERT INTO segmentation_evaluationday AS noted (course_id, day, batches, evaluated, entered,
    "left", failed, seconds, slowest_seconds, last_at, error)
SELECT course_id, day, batches, evaluated, entered, "left", failed, seconds, seconds, as_of, error
FROM added ORDER BY course_id
ON CONFLICT (course_id, day) DO UPDATE SET
    batches = noted.batches + excluded.batches,
    evaluated = noted.evaluated + excluded.evaluated,
    entered = noted.entered + excluded.entered,
    "left" = noted."left" + excluded."left",
    failed = noted.failed + excluded.failed,
    seconds = noted.seconds + excluded.seconds,
    slowest_seconds = GREATEST(noted.slowest_seconds, excluded.slowest_seconds),
    last_at = GREATEST(noted.last_at, excluded.last_at),
    error = CASE WHEN excluded.failed > 0 THEN excluded.error ELSE noted.error END
"""


@dataclass(frozen=True, kw_only=True)
class Tally:
    """What one batch, or one failed enrollment, adds to its day."""

    batches: int = 0
    evaluated: int = 0
    entered: int = 0
    left: int = 0
    failed: int = 0
    seconds: float = 0.0
    error: str = ""


def clock_of(course: Course, now: datetime) -> datetime:
    """Return the instant as of which the course is evaluated.

    A course with a stopped clock is always evaluated as of the end of its simulation.
    """
    return course.clock_stopped_at or now


def note_evaluations(tallies: Mapping[Course, Tally], *, now: datetime) -> None:
    """Add to the days of the courses, in a transaction of its own. No tally, no query.

    Call it after the commit of the batch: no other row is locked then, and workers of one course
    do not wait for the batches of each other. If another transaction holds a day's row for half a
    second, the tallies are lost, as they are in a crash.
    """
    if not tallies:
        return
    rows = [_row(course, tally, clock_of(course, now)) for course, tally in tallies.items()]
    values: dict[str, Any] = {name: [row[name] for row in rows] for name in rows[0]}
    with passing_over_held(), transaction.atomic():
        wait_shortly()
        with connection.cursor() as cursor:
            # As for the batch itself: waiting for the disk would take longer than the statement.
            cursor.execute("SET LOCAL synchronous_commit = off")
            cursor.execute(_NOTE, values | {"kept_days": KEPT_DAYS})


def _row(course: Course, tally: Tally, as_of: datetime) -> dict[str, Any]:
    return asdict(tally) | {
        "course": course.pk,
        "day": local_date(as_of, course.time_zone),
        "as_of": as_of,
        # The lines after the first may hold the learner's row. It is on the page of the due row.
        "error": storable_text(tally.error).partition("\n")[0][:LONGEST_ERROR],
    }
