"""Find due work: learners with messages to send, and runs with steps to plan."""

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from itertools import groupby
from typing import Any

from django.db import connection

from activity.models import Enrollment
from interventions.models import Delivery, Run, RunStatus
from interventions.queries.catalogue import Catalogue
from interventions.queries.holds import OPEN_COURSE, OPEN_STEPS, hold_of, learner_paused
from interventions.queries.joined import Joined

# The number of messages from which the next learners are taken. An urgent message that comes
# meanwhile is in the next page.
PAGE = 500

# Read by step, so that messages held by a pause are not read at all.
_DUE = f"""
WITH open_step AS MATERIALIZED ({OPEN_STEPS})
SELECT delivery.learner_id
FROM open_step
JOIN interventions_delivery AS delivery ON delivery.step_id = open_step.id
JOIN activity_enrollment AS enrollment ON enrollment.id = delivery.enrollment_id
JOIN activity_course AS course ON course.id = enrollment.course_id
WHERE delivery.state = 'planned' AND delivery.send_at <= %(now)s
    AND delivery.channel = ANY(%(channels)s) AND {OPEN_COURSE}
    AND delivery.learner_id <> ALL(%(passed_over)s) AND NOT {learner_paused("delivery.learner_id")}
ORDER BY delivery.priority, delivery.planned_at, delivery.id
LIMIT %(limit)s
"""  # noqa: S608

_OF_A_MESSAGE = Joined(delivery=Delivery, run=Run, enrollment=Enrollment)

# The run is not locked. A transaction that ends the run also drops its planned messages, and then
# one of the two finds that the other has moved the delivery.
_LOCK = f"""
SELECT {_OF_A_MESSAGE.columns}
FROM interventions_delivery AS delivery
JOIN interventions_run AS run ON run.id = delivery.run_id
JOIN activity_enrollment AS enrollment ON enrollment.id = delivery.enrollment_id
WHERE delivery.learner_id = %(learner)s AND delivery.state = 'planned'
    AND delivery.send_at <= %(now)s AND delivery.channel = ANY(%(channels)s)
ORDER BY delivery.priority, delivery.planned_at, delivery.id
FOR NO KEY UPDATE OF delivery
"""  # noqa: S608


def due_learners(
    *, now: datetime, channels: Collection[str], passed_over: Collection[int] = ()
) -> list[int]:
    """Return learners with a message that may go out, without those in `passed_over`. One query.

    They are in the order of their most important message, then of the one planned first.
    """
    values: dict[str, Any] = {
        "now": now,
        "channels": list(channels),
        "passed_over": list(passed_over),
        "limit": PAGE,
    }
    with connection.cursor() as cursor:
        cursor.execute(_DUE, values)
        return list(dict.fromkeys(learner for (learner,) in cursor.fetchall()))


def lock_due_deliveries(
    learner_id: int, *, now: datetime, channels: Collection[str], catalogue: Catalogue
) -> list[Delivery]:
    """Lock and return the learner's due messages that are not held, the most important first.

    It takes one query and those of the catalogue. The learner must be locked.
    """
    values: dict[str, Any] = {"learner": learner_id, "now": now, "channels": list(channels)}
    with connection.cursor() as cursor:
        cursor.execute(_LOCK, values)
        deliveries = [_assemble(row) for row in cursor.fetchall()]
    catalogue.attach(deliveries)
    return [each for each in deliveries if _may_be_decided(each, now)]


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
    """Lock and yield the runs with a step to plan, by cadence. Skip locked runs. One query."""
    due = Run.objects.filter(
        status=RunStatus.ACTIVE,
        next_at__lte=now,
        enrollment__course__clock_stopped_at__isnull=True,
    ).exclude(retry_at__gt=now)
    joined = due.select_related("cadence", "enrollment__learner", "enrollment__course")
    rows = joined.select_for_update(no_key=True, skip_locked=True, of=("self",))
    runs = sorted(rows.order_by("next_at", "id")[:limit], key=lambda run: run.cadence_id)
    for cadence_id, group in groupby(runs, key=lambda run: run.cadence_id):
        yield cadence_id, sorted(group, key=lambda run: run.pk)
