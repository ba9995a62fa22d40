"""Note that a course's past has changed, so that values derived from past days are renewed."""

from collections.abc import Iterable

from activity.local_time import local_day
from activity.models import PastChange
from activity.read_models.columns import IS_ACT

# A day counts as over slightly early, for transactions that begin before midnight and commit after.
_MARGIN = "interval '10 minutes'"

_FIRST_DAY = local_day("first.occurred_at", "course.time_zone")
_TODAY = local_day(f"(%(now)b::timestamptz + {_MARGIN})", "course.time_zone")


def keep_past_changes(fresh: str) -> str:
    """Return the SQL that notes the courses in which an event of `fresh` occurred on a past day.

    Events of messages and other events that are no acts change no value that is stored by day.
    """
    return f"""
    INSERT INTO activity_pastchange (course_id, occurred_at)
    SELECT course.id, first.occurred_at
    FROM (
        SELECT enrollment.course_id, min(event.occurred_at) AS occurred_at
        FROM {fresh} AS event
        JOIN activity_enrollment AS enrollment ON enrollment.id = event.enrollment_id
        WHERE {IS_ACT}
        GROUP BY enrollment.course_id
    ) AS first
    JOIN activity_course AS course ON course.id = first.course_id
    WHERE {_FIRST_DAY} < {_TODAY}
    """  # noqa: S608


def note_past_changed(course_ids: Iterable[int]) -> None:
    """Note in the caller's transaction that any past day of these courses may have changed."""
    PastChange.objects.bulk_create(PastChange(course_id=pk) for pk in sorted(set(course_ids)))
