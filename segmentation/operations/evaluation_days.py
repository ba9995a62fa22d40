"""Note what the evaluations of a course's day took. Staff read it on the page of a segment."""

from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
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
WITH old AS (
    DELETE FROM segmentation_evaluationday WHERE course_id = %(course)s AND day < %(oldest)s
)
INSERT INTO segmentation_evaluationday AS noted (course_id, day, batches, evaluated, entered,
    "left", failed, seconds, slowest_seconds, last_at, error)
VALUES (%(course)s, %(day)s, %(batches)s, %(evaluated)s, %(entered)s,
    %(left)s, %(failed)s, %(seconds)s, %(seconds)s, %(as_of)s, %(error)s)
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


def note_evaluations(course: Course, tally: Tally, *, as_of: datetime) -> None:
    """Add to the course's day, in a transaction of its own.

    Call it after the commit of the batch: no other row is locked then, and workers of one course
    do not wait for the batches of each other. If another transaction holds the day's row for half a
    second, the tally is lost, as it is in a crash.
    """
    day = local_date(as_of, course.time_zone)
    values: dict[str, Any] = asdict(tally) | {
        "course": course.pk,
        "day": day,
        "oldest": day - timedelta(days=KEPT_DAYS),
        "as_of": as_of,
        # The lines after the first may hold the learner's row. It is on the page of the due row.
        "error": storable_text(tally.error).partition("\n")[0][:LONGEST_ERROR],
    }
    with passing_over_held(), transaction.atomic():
        wait_shortly()
        with connection.cursor() as cursor:
            # As for the batch itself: waiting for the disk would take longer than the statement.
            cursor.execute("SET LOCAL synchronous_commit = off")
            cursor.execute(_NOTE, values)
