"""What is due: learners with messages to send, runs with steps to plan."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any

from django.db import connection

from interventions.models import Delivery, Run, RunStatus
from interventions.queries.catalogue import Catalogue

PAGE = 500

_DUE = """
SELECT delivery.send_at, delivery.id, delivery.learner_id
FROM interventions_delivery AS delivery
JOIN activity_enrollment AS enrollment ON enrollment.id = delivery.enrollment_id
JOIN activity_course AS course ON course.id = enrollment.course_id
WHERE delivery.state = 'planned' AND delivery.send_at <= %(now)s
    AND course.clock_stopped_at IS NULL AND delivery.channel = ANY(%(channels)s)
    AND (%(after_at)s::timestamptz IS NULL
        OR (delivery.send_at, delivery.id) > (%(after_at)s, %(after_id)s))
ORDER BY delivery.send_at, delivery.id
LIMIT %(limit)s
"""

_LOCK_RUNS = """
SELECT run.* FROM interventions_run AS run
WHERE run.id IN (
    SELECT delivery.run_id FROM interventions_delivery AS delivery
    WHERE delivery.learner_id = %(learner)s AND delivery.state = 'planned'
        AND delivery.send_at <= %(now)s AND delivery.channel = ANY(%(channels)s)
)
ORDER BY run.id
FOR NO KEY UPDATE
"""

_LOCK_DELIVERIES = """
SELECT delivery.* FROM interventions_delivery AS delivery
WHERE delivery.run_id = ANY(%(runs)s) AND delivery.learner_id = %(learner)s
    AND delivery.state = 'planned' AND delivery.send_at <= %(now)s
    AND delivery.channel = ANY(%(channels)s)
ORDER BY delivery.priority, delivery.planned_at, delivery.id
FOR NO KEY UPDATE
"""


@dataclass(frozen=True)
class Page:
    """Learners with something due, the longest waiting first, and where the next page begins."""

    learner_ids: list[int]
    after: tuple[datetime, int] | None


def due_learners(
    *, now: datetime, channels: Collection[str], after: tuple[datetime, int] | None = None
) -> Page:
    """Return a page of learners with a planned message whose instant has come. One query."""
    after_at, after_id = after or (None, 0)
    values: dict[str, Any] = {
        "now": now,
        "channels": list(channels),
        "after_at": after_at,
        "after_id": after_id,
        "limit": PAGE,
    }
    with connection.cursor() as cursor:
        cursor.execute(_DUE, values)
        rows = cursor.fetchall()
    # One that is pushed forward does not come back: a later page begins behind it.
    last = (rows[-1][0], rows[-1][1]) if len(rows) == PAGE else None
    return Page(learner_ids=list(dict.fromkeys(row[2] for row in rows)), after=last)


def lock_due_deliveries(
    learner_id: int, *, now: datetime, channels: Collection[str], catalogue: Catalogue
) -> list[Delivery]:
    """Lock and return the learner's due messages, the most important first, their runs locked too.

    Three queries, and those of the catalogue. The learner must be locked already.
    """
    values: dict[str, Any] = {"learner": learner_id, "now": now, "channels": list(channels)}
    # As SQL of their own: these two run for every message, and putting them together anew each
    # time takes longer than the database does.
    runs = list(Run.objects.raw(_LOCK_RUNS, values))
    values["runs"] = [run.pk for run in runs]
    deliveries = list(Delivery.objects.raw(_LOCK_DELIVERIES, values))
    catalogue.attach(deliveries, runs)
    return [each for each in deliveries if each.enrollment.course.clock_stopped_at is None]


def lock_due_runs(*, now: datetime, limit: int) -> Iterator[tuple[int, list[Run]]]:
    """Lock and yield the runs with a step to plan, by cadence. Skips those held. One query."""
    due = Run.objects.filter(
        status=RunStatus.ACTIVE,
        next_at__lte=now,
        enrollment__course__clock_stopped_at__isnull=True,
    ).exclude(retry_at__gt=now)
    rows = due.select_related("cadence", "enrollment").select_for_update(
        no_key=True, skip_locked=True, of=("self",)
    )
    runs = sorted(rows.order_by("next_at", "id")[:limit], key=lambda run: run.cadence_id)
    for cadence_id, group in groupby(runs, key=lambda run: run.cadence_id):
        yield cadence_id, sorted(group, key=lambda run: run.pk)
