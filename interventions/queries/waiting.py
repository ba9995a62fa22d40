"""How long messages wait, and how many are in each state. Cheap for any number of messages."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import connection

from interventions.models import Delivery, DeliveryState
from interventions.queries.holds import (
    ASKS_MISSING_EVENTS,
    OPEN_COURSE,
    OPEN_STEPS,
    learner_paused,
)

# In each step, so many of the longest due messages are searched for one that is not held. A course
# that is no longer live may have a million due messages.
_LOOKED_AT = 10_000
RECENTLY = timedelta(hours=1)

# Held messages are not late. For each step the index returns the longest due message first.
_OLDEST_DUE = f"""
WITH open_step AS MATERIALIZED ({OPEN_STEPS})
SELECT min(first.send_at) FROM open_step CROSS JOIN LATERAL (
    SELECT due.send_at FROM (
        SELECT send_at, enrollment_id, learner_id FROM interventions_delivery
        WHERE step_id = open_step.id AND state = 'planned' AND send_at <= %(now)s
        ORDER BY send_at LIMIT %(looked_at)s
    ) AS due
    JOIN activity_enrollment AS enrollment ON enrollment.id = due.enrollment_id
    JOIN activity_course AS course ON course.id = enrollment.course_id
    WHERE {OPEN_COURSE} AND NOT {learner_paused("due.learner_id")}
    ORDER BY due.send_at LIMIT 1
) AS first
"""  # noqa: S608

# The index returns the longest due run first. Opt-outs are few: each is applied within seconds.
_OLDEST_WORK = f"""
SELECT
    (SELECT min(run.next_at) FROM (
        SELECT next_at, retry_at, enrollment_id, cadence_id, next_position FROM interventions_run
        WHERE status = 'active' AND next_at <= %(now)s ORDER BY next_at LIMIT %(looked_at)s
    ) AS run
    JOIN activity_enrollment AS enrollment ON enrollment.id = run.enrollment_id
    JOIN activity_course AS course ON course.id = enrollment.course_id
    WHERE course.clock_stopped_at IS NULL AND (run.retry_at IS NULL OR run.retry_at <= %(now)s)
        AND ({ASKS_MISSING_EVENTS}) IS NOT TRUE),
    (SELECT min(said.said_at) FROM (
        SELECT said_at FROM activity_pendingno LIMIT %(looked_at)s) AS said)
"""  # noqa: S608

# Each count uses a partial index and stops at a limit. A million planned messages would take a
# second to count for each request of a monitor.
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
    """The number of unfinished messages by state, and of those that failed in the last hour.

    Each count stops at MOST_COUNTED, which means that many or more.
    """

    planned: int
    claimed: int
    in_doubt: int
    failed_recently: int


def oldest_due_message(*, now: datetime) -> datetime | None:
    """Return when the longest due message that is not held became due. One query."""
    with connection.cursor() as cursor:
        cursor.execute(_OLDEST_DUE, {"now": now, "looked_at": _LOOKED_AT})
        oldest: datetime | None = cursor.fetchone()[0]
    return oldest


@dataclass(frozen=True)
class OldestWork:
    """Since when the oldest step waits to be planned, and the oldest opt-out to be applied."""

    step: datetime | None
    opt_out: datetime | None


def oldest_work(*, now: datetime) -> OldestWork:
    """Return since when work of the stages plan and recover waits. One query."""
    with connection.cursor() as cursor:
        cursor.execute(_OLDEST_WORK, {"now": now, "looked_at": _LOOKED_AT})
        return OldestWork(*cursor.fetchone())


def message_counts(*, now: datetime) -> MessageCounts:
    """Return the number of messages by state. One query."""
    with connection.cursor() as cursor:
        values: dict[str, Any] = {"now": now, "since": now - RECENTLY, "most": MOST_COUNTED}
        cursor.execute(_COUNTS, values)
        return MessageCounts(*cursor.fetchone())


def number_to_hold() -> int:
    """Return how many messages a hold of everything holds, at most MOST_COUNTED. One query.

    Ghosts wait too, but no learner gets them.
    """
    planned = Delivery.objects.filter(state=DeliveryState.PLANNED, ghost=False)
    return planned.order_by()[:MOST_COUNTED].count()
