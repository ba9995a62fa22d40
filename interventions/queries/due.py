"""Find due work: learners with messages to send, and runs with steps to plan."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import groupby
from typing import Any

from django.db import connection
from django.db.models import Q

from activity.models import Enrollment
from common.database import as_array, preparing_cursor
from interventions.models import Delivery, Run, RunStatus
from interventions.queries.catalogue import Catalogue
from interventions.queries.holds import (
    OPEN_COURSE,
    OPEN_STEPS,
    asks_missing_events,
    hold_of,
    learner_paused,
)
from interventions.queries.joined import Joined

# The number of messages from which the next learners are taken. An urgent message that comes
# meanwhile is in the next page.
PAGE = 500
# In each step, so many of the longest due messages are looked at. So a page costs the same with a
# million due messages.
LOOKED_AT = 5_000

# Read by step, so that messages held by a pause are not read at all. Of one priority the courses
# take turns, so that a small course does not wait for all messages of a large one.
_DUE = f"""
WITH open_step AS MATERIALIZED ({OPEN_STEPS}), due AS (
    SELECT longest.* FROM open_step CROSS JOIN LATERAL (
        SELECT delivery.id, delivery.learner_id, delivery.channel, delivery.priority,
            delivery.planned_at, enrollment.course_id
        FROM interventions_delivery AS delivery
        JOIN activity_enrollment AS enrollment ON enrollment.id = delivery.enrollment_id
        JOIN activity_course AS course ON course.id = enrollment.course_id
        WHERE delivery.step_id = open_step.id
            AND delivery.state = 'planned' AND delivery.send_at <= %(now)s
            AND delivery.channel = ANY(%(channels)s) AND {OPEN_COURSE}
            AND delivery.learner_id <> ALL(%(passed_over)s)
            AND NOT {learner_paused("delivery.learner_id")}
        ORDER BY delivery.send_at LIMIT %(looked_at)s
    ) AS longest
)
SELECT learner_id, channel FROM (
    SELECT learner_id, channel, priority, planned_at, id, row_number() OVER (
        PARTITION BY priority, course_id ORDER BY planned_at, id
    ) AS turn
    FROM due
) AS in_turn
ORDER BY priority, turn, planned_at, id
LIMIT %(limit)s
"""  # noqa: S608

# The order in which those who share mailboxes are taken.
_IN_ORDER = f"""
WITH open_step AS MATERIALIZED ({OPEN_STEPS})
SELECT delivery.learner_id
FROM interventions_delivery AS delivery
JOIN open_step ON open_step.id = delivery.step_id
JOIN activity_enrollment AS enrollment ON enrollment.id = delivery.enrollment_id
JOIN activity_course AS course ON course.id = enrollment.course_id
WHERE delivery.learner_id = ANY(%(learners)s)
    AND delivery.state = 'planned' AND delivery.send_at <= %(now)s
    AND delivery.channel = ANY(%(channels)s) AND {OPEN_COURSE}
    AND NOT {learner_paused("delivery.learner_id")}
ORDER BY delivery.priority, delivery.planned_at, delivery.id
"""  # noqa: S608

_OF_A_MESSAGE = Joined(delivery=Delivery, run=Run, enrollment=Enrollment)

# The run is not locked. A transaction that ends the run also drops its planned messages, and then
# one of the two finds that the other has moved the delivery.
_LOCK = f"""
SELECT {_OF_A_MESSAGE.columns}, (
    SELECT count(*) FROM interventions_delivery AS due
    WHERE due.learner_id = delivery.learner_id AND due.state = 'planned'
        AND due.send_at <= %(now)s AND due.channel = ANY(%(channels)s)
)
FROM interventions_delivery AS delivery
JOIN interventions_run AS run ON run.id = delivery.run_id
JOIN activity_enrollment AS enrollment ON enrollment.id = delivery.enrollment_id
WHERE delivery.learner_id = ANY(%(learners)s::bigint[]) AND delivery.state = 'planned'
    AND delivery.send_at <= %(now)s AND delivery.channel = ANY(%(channels)s)
ORDER BY delivery.priority, delivery.planned_at, delivery.id
FOR NO KEY UPDATE OF delivery SKIP LOCKED
"""  # noqa: S608

# Only for learners of whom fewer messages were locked than there are.
_HELD = """
SELECT DISTINCT learner_id FROM interventions_delivery
WHERE learner_id = ANY(%(learners)s::bigint[]) AND state = 'planned' AND send_at <= %(now)s
    AND channel = ANY(%(channels)s) AND id <> ALL(%(locked)s::bigint[])
"""


def due_learners(
    *, now: datetime, channels: Collection[str], passed_over: Collection[int] = ()
) -> dict[int, str]:
    """Return learners with a message that may go out, without those in `passed_over`. One query.

    They are in the order of their most important message, each with its channel. Of one priority
    the courses take turns, each with the message planned first.
    """
    values: dict[str, Any] = {
        "now": now,
        "channels": list(channels),
        "passed_over": list(passed_over),
        "limit": PAGE,
        "looked_at": LOOKED_AT,
    }
    with connection.cursor() as cursor:
        cursor.execute(_DUE, values)
        first: dict[int, str] = {}
        for learner_id, channel in cursor.fetchall():
            first.setdefault(learner_id, channel)
        return first


def in_order_of_messages(
    learner_ids: Collection[int], *, now: datetime, channels: Collection[str]
) -> list[int]:
    """Return those of the learners with a message that may go out. One query.

    They are in the order of their most important message, without turns of courses.
    """
    values: dict[str, Any] = {"learners": list(learner_ids), "channels": list(channels), "now": now}
    with connection.cursor() as cursor:
        cursor.execute(_IN_ORDER, values)
        return list(dict.fromkeys(learner for (learner,) in cursor.fetchall()))


def lock_due_deliveries(
    learner_ids: Collection[int],
    *,
    now: datetime,
    channels: Collection[str],
    catalogue: Catalogue,
) -> Mapping[int, list[Delivery]]:
    """Lock and return the learners' due messages that are not held, the most important first.

    The learners must be locked. A learner with a due message that another transaction has locked is
    missing, because a less important one must not go first. It takes one query and those of the
    catalogue, and another one if messages are locked.
    """
    values: dict[str, Any] = {"channels": list(channels), "now": now}
    with preparing_cursor() as cursor:
        cursor.execute(_LOCK, {**values, "learners": as_array(learner_ids)})
        rows = [(_assemble(row), number) for *row, number in cursor.fetchall()]
        deliveries = [delivery for delivery, _ in rows]
        short = _with_fewer(learner_ids, rows)
        held: set[int] = set()
        if short:
            locked = as_array(each.pk for each in deliveries)
            cursor.execute(_HELD, {**values, "learners": as_array(short), "locked": locked})
            held = {learner_id for (learner_id,) in cursor.fetchall()}
    catalogue.attach(deliveries)
    found: dict[int, list[Delivery]] = {each: [] for each in learner_ids if each not in held}
    for delivery in deliveries:
        if delivery.learner_id in found and _may_be_decided(delivery, now):
            found[delivery.learner_id].append(delivery)
    return found


def _with_fewer(learner_ids: Collection[int], rows: Sequence[tuple[Delivery, int]]) -> list[int]:
    """Return the learners with fewer messages in the rows than the numbers in them say, or none."""
    locked = Counter(delivery.learner_id for delivery, _ in rows)
    due = {delivery.learner_id: number for delivery, number in rows}
    return [each for each in learner_ids if not locked[each] or locked[each] < due[each]]


def _assemble(row: Sequence[Any]) -> Delivery:
    delivery, run, enrollment = _OF_A_MESSAGE.objects(row)
    delivery.run, delivery.enrollment = run, enrollment
    found: Delivery = delivery
    return found


def _may_be_decided(delivery: Delivery, now: datetime) -> bool:
    # The pauses of the site and of the learner are read later with the policy's facts, because they
    # may have just begun.
    held = hold_of(delivery, site_paused=False, learner_paused=False, now=now)
    return held is None and delivery.enrollment.course.clock_stopped_at is None


def lock_due_runs(*, now: datetime, limit: int) -> Iterator[tuple[int, list[Run]]]:
    """Lock and yield the runs with a step to plan, by cadence. Skip locked runs. One query.

    Steps with a condition or a goal wait while the events of their course do not come.
    """
    due = Run.objects.filter(
        status=RunStatus.ACTIVE,
        next_at__lte=now,
        enrollment__course__clock_stopped_at__isnull=True,
    ).exclude(asks_missing_events(now) | Q(retry_at__gt=now))
    joined = due.select_related("cadence", "enrollment__learner", "enrollment__course")
    rows = joined.select_for_update(no_key=True, skip_locked=True, of=("self",))
    # Not by id too, which the index does not have: runs that start together are due at one instant,
    # and all of them would be joined and sorted for each batch.
    runs = sorted(rows.order_by("next_at")[:limit], key=lambda run: run.cadence_id)
    for cadence_id, group in groupby(runs, key=lambda run: run.cadence_id):
        yield cadence_id, sorted(group, key=lambda run: run.pk)
