"""Forget old tracking events. What they meant stays in the receipts, the states and the log."""

import time
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import connection

BATCH_SIZE = 1_000
# Providers repeat a report for some days. Of a forgotten one, a repeat would be new.
FEWEST_DAYS = 30

# Ids are in the order of arrival, so the primary key leads to the oldest and the table needs no
# index by age. An event that waits has not acted yet. One that is acting just now is locked.
_FORGET = """
WITH near AS MATERIALIZED (
    SELECT id, received_at <= %(before)s AS is_old FROM interventions_trackingevent
    WHERE id > %(after)s ORDER BY id LIMIT %(size)s
), locked AS MATERIALIZED (
    SELECT event.id FROM near JOIN interventions_trackingevent AS event ON event.id = near.id
    WHERE near.is_old AND event.retry_at IS NULL
    ORDER BY event.id FOR NO KEY UPDATE OF event SKIP LOCKED
), gone AS (
    DELETE FROM interventions_trackingevent AS event USING locked
    WHERE event.id = locked.id RETURNING event.id
)
SELECT (SELECT max(id) FROM near), (SELECT bool_or(is_old) FROM near), (SELECT count(*) FROM gone)
"""


def forget_old_events(*, now: datetime, budget: float) -> int:
    """Delete the events that acted and are older than TRACKING_DAYS, for at most so many seconds.

    Return their number. Several workers may run it at once.
    """
    if not settings.TRACKING_DAYS:
        return 0
    before = now - timedelta(days=max(settings.TRACKING_DAYS, FEWEST_DAYS))
    deadline, last_id, number = time.monotonic() + budget, 0, 0
    while time.monotonic() < deadline:
        found, has_old, gone = _forget(last_id, before)
        number += gone
        if found is None or not has_old:
            break
        last_id = found
    return number


def _forget(after: int, before: datetime) -> tuple[int | None, bool | None, int]:
    """Look at the events after the id, and delete the old ones. One statement."""
    values: dict[str, Any] = {"after": after, "before": before, "size": BATCH_SIZE}
    with connection.cursor() as cursor:
        cursor.execute(_FORGET, values)
        found: tuple[int | None, bool | None, int] = cursor.fetchone()
    return found
