"""How long messages wait, and how many are in which state. Cheap at any number of messages."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import connection

from interventions.queries.holds import OPEN_COURSE, OPEN_STEPS

# So many of the longest due are looked at in each step for one that nothing holds: of a course that
# is not live any more, a million may be due.
_LOOKED_AT = 10_000
RECENTLY = timedelta(hours=1)

# What a person has to lift is not late. For each step the index gives the longest due first.
_OLDEST_DUE = f"""
WITH open_step AS MATERIALIZED ({OPEN_STEPS})
SELECT min(first.send_at) FROM open_step CROSS JOIN LATERAL (
    SELECT due.send_at FROM (
        SELECT send_at, enrollment_id FROM interventions_delivery
        WHERE step_id = open_step.id AND state = 'planned' AND send_at <= %(now)s
        ORDER BY send_at LIMIT %(looked_at)s
    ) AS due
    JOIN activity_enrollment AS enrollment ON enrollment.id = due.enrollment_id
    JOIN activity_course AS course ON course.id = enrollment.course_id
    WHERE {OPEN_COURSE}
    ORDER BY due.send_at LIMIT 1
) AS first
"""  # noqa: S608

# Each from an index of those rows alone, and no further than it matters: a million that are planned
# would take a second to count, each time that a monitor asks.
MOST_COUNTED = 10_000
_COUNTS = """
SELECT
    (SELECT count(*) FROM (
        SELECT FROM interventions_delivery WHERE state = 'planned' LIMIT %(most)s) AS found),
    (SELECT count(*) FROM (
        SELECT FROM interventions_delivery WHERE state = 'claimed' LIMIT %(most)s) AS found),
    (SELECT count(*) FROM (
        SELECT FROM interventions_delivery WHERE state = 'in_doubt' LIMIT %(most)s) AS found),
    (SELECT count(*) FROM (
        SELECT FROM interventions_delivery
        WHERE state = 'failed' AND finished_at > %(since)s AND finished_at <= %(now)s
        LIMIT %(most)s) AS found)
"""


@dataclass(frozen=True)
class MessageCounts:
    """How many messages have no end yet, by state, and how many failed in the last hour.

    Each is counted up to MOST_COUNTED, which stands for so many or more.
    """

    planned: int
    claimed: int
    in_doubt: int
    failed_recently: int


def oldest_due_message(*, now: datetime) -> datetime | None:
    """Return since when the longest due message waits that nothing holds. One query."""
    with connection.cursor() as cursor:
        cursor.execute(_OLDEST_DUE, {"now": now, "looked_at": _LOOKED_AT})
        oldest: datetime | None = cursor.fetchone()[0]
    return oldest


def message_counts(*, now: datetime) -> MessageCounts:
    """Return how many messages are in which state. One query."""
    with connection.cursor() as cursor:
        values: dict[str, Any] = {"now": now, "since": now - RECENTLY, "most": MOST_COUNTED}
        cursor.execute(_COUNTS, values)
        return MessageCounts(*cursor.fetchone())
