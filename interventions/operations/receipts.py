"""Keep what became of a message after its hand-off."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime

from django.db import connection

from interventions.models import TrackingEvent

# The column of each meaning, for opens and clicks by people.
_COLUMNS = {
    "delivered": "delivered_at",
    "soft_bounced": "soft_bounced_at",
    "hard_bounced": "hard_bounced_at",
    "rejected": "rejected_at",
    "failed": "rejected_at",
    "complained": "complained_at",
    "unsubscribed": "unsubscribed_at",
    "opened": "opened_at",
    "clicked": "clicked_at",
}
_OF_MACHINES = {"opened": "machine_opened_at", "clicked": "machine_clicked_at"}
_ALL = sorted({*_COLUMNS.values(), *_OF_MACHINES.values()})

# LEAST ignores nulls, so the first instant stays, whatever the order of arrival.
_ADD = f"""
INSERT INTO interventions_receipt AS receipt (delivery_id, {", ".join(_ALL)})
SELECT * FROM unnest(%s::bigint[]{", %s::timestamptz[]" * len(_ALL)})
ON CONFLICT (delivery_id) DO UPDATE SET
    {", ".join(f"{each} = LEAST(receipt.{each}, EXCLUDED.{each})" for each in _ALL)}
"""  # noqa: S608


def write_receipts(events: Sequence[TrackingEvent]) -> None:
    """Keep the first instant of each thing that became of the messages. One statement."""
    first: dict[int, dict[str, datetime]] = defaultdict(dict)
    for event in sorted(events, key=lambda each: each.happened_at):
        column = _column_of(event)
        if column is not None and event.delivery_id is not None:
            first[event.delivery_id].setdefault(column, event.happened_at)
    if not first:
        return
    ids = sorted(first)
    columns = [[first[pk].get(name) for pk in ids] for name in _ALL]
    with connection.cursor() as cursor:
        cursor.execute(_ADD, [ids, *columns])


def _column_of(event: TrackingEvent) -> str | None:
    meaning = event.meaning
    return _OF_MACHINES.get(meaning) if event.machine else _COLUMNS.get(meaning)
