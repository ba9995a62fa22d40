"""Move what is old from the ledger and the outbox into the archive, and drop what is too old.

The ledger itself is not partitioned. PostgreSQL wants the month in every unique key, and then no
constraint could promise one message per run and step.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings

from common.archive import Found, Month, drop_months, month_of, months_of, move_old, size_of
from common.tally import count_reason
from interventions.operations.archived_messages import (
    ARCHIVED_DELIVERIES,
    ARCHIVED_TRACES,
    old_messages,
)
from interventions.queries.archive import days_of_ledger
from segmentation.operations import ARCHIVED_TRANSITIONS, archive_transitions, look_for_transitions


@dataclass(frozen=True)
class Ages:
    """What is moved is older than these instants; what is dropped is in months before these.

    None: nothing is moved, or nothing is dropped.
    """

    ledger: datetime | None
    traces: Month | None
    rows: Month | None


@dataclass(frozen=True)
class Archived:
    """How many rows were moved, and the months that were dropped by table."""

    messages: int
    transitions: int
    dropped: dict[str, list[Month]]


def ages(*, now: datetime) -> Ages:
    """Return what the settings say at the instant."""
    days = days_of_ledger()
    ledger = now - timedelta(days=days) if days else None
    traces = _oldest(settings.TRACE_MONTHS, now)
    rows = _oldest(settings.ARCHIVE_MONTHS, now)
    # A trace without its message would be read by no page.
    found = [each for each in (traces, rows) if each is not None]
    return Ages(ledger, max(found) if found else None, rows)


def archive_old(
    *, now: datetime, budget: float, on_progress: Callable[[int], object] | None = None
) -> Archived:
    """Drop the months that are too old, and move what is old, for at most so many seconds.

    Any number of workers may do so at once. Each batch is one transaction, so a worker can be
    killed anywhere: a message is either in the ledger or in the archive.
    """
    deadline = time.monotonic() + budget
    age = ages(now=now)
    dropped = {table: drop_months(table, before=month) for table, month in _too_old(age)}
    count_reason("deleted", "old_months", count=sum(map(len, dropped.values())))
    if age.ledger is None:
        return Archived(0, 0, dropped)

    def is_over() -> bool:
        return time.monotonic() >= deadline

    messages = move_old(
        old_messages(before=age.ledger, now=now), is_over=is_over, on_progress=on_progress
    )
    transitions = archive_transitions(before=age.ledger, is_over=is_over, on_progress=on_progress)
    count_reason("archived", "messages", count=messages)
    count_reason("archived", "transitions", count=transitions)
    return Archived(messages, transitions, dropped)


@dataclass(frozen=True)
class Preview:
    """What `archive_old` would move, and the months that it would drop with about their rows."""

    messages: int
    transitions: int
    dropped: dict[str, dict[Month, int]]


def preview_archive(*, now: datetime) -> Preview:
    """Return what would be moved and dropped. It reads all old rows and writes nothing."""
    age = ages(now=now)
    dropped = {
        table: {each: size_of(table, each) for each in months_of(table) if each < month}
        for table, month in _too_old(age)
    }
    if age.ledger is None:
        return Preview(0, 0, dropped)
    before = age.ledger
    messages = _count(old_messages(before=before, now=now).look)
    transitions = _count(lambda after: look_for_transitions(after, before=before))
    return Preview(messages, transitions, dropped)


def _too_old(age: Ages) -> list[tuple[str, Month]]:
    wanted = (
        (ARCHIVED_TRACES, age.traces),
        (ARCHIVED_DELIVERIES, age.rows),
        (ARCHIVED_TRANSITIONS, age.rows),
    )
    return [(table, month) for table, month in wanted if month is not None]


def _oldest(months: int, now: datetime) -> Month | None:
    return month_of(now).plus(-months) if months else None


def _count(look: Callable[[int], Found]) -> int:
    number, found = 0, look(0)
    while found.last_id is not None and found.old:
        number += len(found.ids)
        found = look(found.last_id)
    return number
