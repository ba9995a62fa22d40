"""Log events that Nudgelab itself produces: a message was sent, a learner unsubscribed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection, transaction
from psycopg.types.json import Jsonb

from activity.canonical import OWN_SOURCE
from activity.models import DueCause
from activity.operations.due import pull_due
from common.database import preparing_cursor
from common.json_text import as_rows

# The read models count only acts of the learner, so there is nothing to merge.
_APPEND = """
INSERT INTO activity_event (enrollment_id, verb, occurred_at, count, properties, source, source_id,
    received_at)
VALUES (%(enrollment_id)s, %(verb)s, %(now)s, 1, %(properties)s, %(source)s, %(source_id)s, %(now)s)
ON CONFLICT (source, source_id) DO NOTHING
RETURNING enrollment_id, occurred_at
"""

_APPEND_AND_DATE = f"""
WITH fresh AS ({_APPEND})
UPDATE activity_enrollment AS enrollment
SET last_event_at = GREATEST(enrollment.last_event_at, fresh.occurred_at)
FROM fresh WHERE enrollment.id = fresh.enrollment_id
"""  # noqa: S608


@transaction.atomic
def append_own_event(
    enrollment_id: int,
    verb: str,
    *,
    source_id: str,
    now: datetime,
    properties: Mapping[str, Any] | None = None,
) -> bool:
    """Log something that Nudgelab itself did, and return whether it was new.

    `verb` is a built-in verb that is not an act of the learner. The same `source_id` twice counts
    once. The enrollment becomes due at `now` with the cause time, because the learner did nothing.
    The function locks the Due row first, as every ingest does.
    """
    pull_due([enrollment_id], at=now, cause=DueCause.TIME)
    return _append(_APPEND_AND_DATE, enrollment_id, verb, (source_id, properties), now=now)


def _append(
    statement: str,
    enrollment_id: int,
    verb: str,
    identity: tuple[str, Mapping[str, Any] | None],
    *,
    now: datetime,
) -> bool:
    source_id, properties = identity
    values: dict[str, Any] = {
        "enrollment_id": enrollment_id,
        "verb": verb,
        "now": now,
        "properties": Jsonb(dict(properties or {})),
        "source": OWN_SOURCE,
        "source_id": source_id,
    }
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        return bool(cursor.rowcount)


@dataclass(frozen=True)
class MessageEvent:
    """Something that became of a message of ours, at an instant that another system told us."""

    enrollment_id: int
    verb: str
    source_id: str
    occurred_at: datetime
    properties: Mapping[str, Any]


_APPEND_MANY = """
INSERT INTO activity_event (enrollment_id, verb, occurred_at, count, properties, source, source_id,
    received_at)
SELECT enrollment_id, verb, occurred_at, 1, properties, %(source)s, source_id, %(now)s
FROM jsonb_to_recordset(%(rows)s::jsonb) AS one (
    enrollment_id bigint, verb text, occurred_at timestamptz, properties jsonb, source_id text
)
ON CONFLICT (source, source_id) DO NOTHING
RETURNING enrollment_id, occurred_at
"""

_APPEND_MANY_AND_DATE = f"""
WITH fresh AS ({_APPEND_MANY}), latest AS (
    SELECT enrollment_id, max(occurred_at) AS at FROM fresh GROUP BY enrollment_id
)
UPDATE activity_enrollment AS enrollment
SET last_event_at = GREATEST(enrollment.last_event_at, latest.at)
FROM latest WHERE enrollment.id = latest.enrollment_id
"""  # noqa: S608


@transaction.atomic(savepoint=False)
def append_message_events(events: Sequence[MessageEvent], *, now: datetime, is_read: bool) -> None:
    """Log what became of messages. The same `source_id` twice counts once.

    `is_read` says whether a signal reads such events. If so, the enrollments become due and their
    Due rows are locked first, as in `append_own_event`. Otherwise only the log is written, not even
    `last_event_at`: without the lock, a running evaluation would take a newer one for a new act.
    """
    if not events:
        return
    if is_read:
        ids = sorted({event.enrollment_id for event in events})
        pull_due(ids, at=now, cause=DueCause.TIME)
    ordered = sorted(events, key=lambda event: event.source_id)
    values: dict[str, Any] = {
        "rows": as_rows([vars(event) for event in ordered]),
        "source": OWN_SOURCE,
        "now": now,
    }
    with preparing_cursor() as cursor:
        cursor.execute(_APPEND_MANY_AND_DATE if is_read else _APPEND_MANY, values)
