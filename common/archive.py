"""Move old rows into tables that are partitioned by month, and drop the months that are too old.

A month of an archive is a table of its own. Dropping it takes no time, however many rows it has:
nothing is deleted row by row, and nothing is left for vacuum. All months are months of UTC.
"""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.db import connection, transaction

from common.database import is_held, is_outage, wait_shortly

# Rows with these many ids are looked at and moved in one transaction.
BATCH_SIZE = 500
MILLISECONDS_TO_WAIT = 100
# Two workers may need the same month at once. The number is any that no other lock uses.
_MONTHS_LOCK = 20_261_130

_MONTHS = """
SELECT part.relname FROM pg_inherits AS link JOIN pg_class AS part ON part.oid = link.inhrelid
WHERE link.inhparent = %(table)s::regclass ORDER BY part.relname
"""
# The planner's guess. To count a month would read all of it.
_SIZE = "SELECT GREATEST(reltuples, 0)::bigint FROM pg_class WHERE oid = %(table)s::regclass"

# The next rows by id, and which of them may move. The instants are columns: `written` is in the
# order of the ids, and `month_of` decides the month in which a row is kept.
_LOOK = """
WITH near AS MATERIALIZED (
    SELECT id, {written} FROM {table} WHERE id > %(after)s ORDER BY id LIMIT %(size)s
), ready AS MATERIALIZED (
    SELECT {alias}.id, date_trunc('month', {alias}.{month_of}, 'UTC') AS month
    FROM near JOIN {table} AS {alias} ON {alias}.id = near.id
    WHERE {is_ready}
)
SELECT (SELECT max(id) FROM near),
    (SELECT count(*) FROM near WHERE {written} <= %(before)s),
    ARRAY(SELECT id FROM ready ORDER BY id), ARRAY(SELECT DISTINCT month FROM ready)
"""
# The beginning of the statement that moves. All conditions are asked again.
_TAKE = """
WITH locked AS MATERIALIZED (
    SELECT {alias}.id FROM {table} AS {alias}
    WHERE {alias}.id = ANY(%(ids)s) AND {is_ready}
    ORDER BY {alias}.id
    FOR NO KEY UPDATE OF {alias} SKIP LOCKED
), gone AS (
    DELETE FROM {table} AS {alias} USING locked
    WHERE {alias}.id = locked.id RETURNING {alias}.*
)"""

log = logging.getLogger(__name__)


@dataclass(frozen=True, order=True)
class Month:
    """A month of UTC."""

    year: int
    number: int

    def __str__(self) -> str:
        return f"{self.year}-{self.number:02}"

    @property
    def begins_at(self) -> datetime:
        """Return its first instant."""
        return datetime(self.year, self.number, 1, tzinfo=UTC)

    def plus(self, months: int) -> "Month":
        """Return the month that many months later, or earlier for a negative number."""
        year, place = divmod(self.year * 12 + self.number - 1 + months, 12)
        return Month(year, place + 1)


@dataclass(frozen=True)
class Found:
    """What one look at the next rows by id found. `old` of them are old, `ids` are to move."""

    last_id: int | None
    old: int
    ids: Sequence[int]
    months: frozenset[Month]


@dataclass(frozen=True)
class Move:
    """How rows of one table move: look behind an id, then move the rows with these ids.

    `move` returns how many rows it moved. Those that another transaction holds, or that have
    changed since the look, stay.
    """

    tables: Sequence[str]
    look: Callable[[int], Found]
    move: Callable[[Sequence[int]], int]


@dataclass(frozen=True)
class Source:
    """A table whose old rows move. `written` and `month_of` are columns, `is_ready` a condition.

    The condition calls the table by its alias, and has the parameter `before`.
    """

    table: str
    alias: str
    written: str
    month_of: str
    is_ready: str

    @property
    def look(self) -> str:
        """Return the statement that looks at the next rows."""
        return _LOOK.format(**vars(self))

    @property
    def take(self) -> str:
        """Return the beginning of the statement that moves rows, which are then called `gone`."""
        return _TAKE.format(**vars(self))


def look_with(statement: str, values: Mapping[str, Any], *, after: int) -> Found:
    """Return what the statement finds behind the id. One query."""
    with connection.cursor() as cursor:
        cursor.execute(statement, {**values, "after": after, "size": BATCH_SIZE})
        last_id, old, ids, months = cursor.fetchone()
    return Found(last_id, old, ids, frozenset(map(month_of, months)))


def move_with(statement: str, values: Mapping[str, Any], ids: Sequence[int]) -> int:
    """Move the rows with these ids. Return how many moved. One query."""
    with connection.cursor() as cursor:
        cursor.execute(statement, {**values, "ids": list(ids)})
        return int(cursor.fetchone()[0])


def month_of(instant: datetime) -> Month:
    """Return the month of the instant."""
    there = instant.astimezone(UTC)
    return Month(there.year, there.month)


def months_of(table: str) -> list[Month]:
    """Return the months that the archive has, the first first. One query."""
    with connection.cursor() as cursor:
        cursor.execute(_MONTHS, {"table": table})
        return [_month(name) for (name,) in cursor.fetchall()]


def size_of(table: str, month: Month) -> int:
    """Return about how many rows the month has. One query."""
    with connection.cursor() as cursor:
        cursor.execute(_SIZE, {"table": _part(table, month)})
        return int(cursor.fetchone()[0])


def make_months(tables: Iterable[str], months: Iterable[Month]) -> None:
    """Make the months that the tables lack. Several workers may do so at once."""
    wanted = frozenset(months)
    lacking = [table for table in tables if wanted - set(months_of(table))]
    if lacking:
        _make(lacking, wanted)


@transaction.atomic
def _make(tables: Iterable[str], wanted: frozenset[Month]) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_MONTHS_LOCK])
        # Only from here on: those who write to enrollments wait while this waits, because the rows
        # refer to them. For another worker's months nobody else waits.
        wait_shortly(milliseconds=MILLISECONDS_TO_WAIT)
        for table in tables:
            for month in sorted(wanted - set(months_of(table))):
                cursor.execute(
                    f"CREATE TABLE {_part(table, month)} PARTITION OF {table} "
                    "FOR VALUES FROM (%s) TO (%s)",
                    [month.begins_at, month.plus(1).begins_at],
                )


def drop_months(table: str, *, before: Month) -> list[Month]:
    """Drop the months before one, and return them. Each is a transaction of its own.

    It waits only shortly for those that read the archive, because those that come after it wait
    too. If that is not enough it raises, and the next beat tries again.
    """
    old = [month for month in months_of(table) if month < before]
    for month in old:
        with transaction.atomic(), connection.cursor() as cursor:
            wait_shortly(milliseconds=MILLISECONDS_TO_WAIT)
            cursor.execute(f"DROP TABLE IF EXISTS {_part(table, month)}")
    return old


def move_old(
    move: Move, *, is_over: Callable[[], bool], on_progress: Callable[[int], object] | None = None
) -> int:
    """Move all old rows, batch by batch, until none is left or the time is over.

    Return how many moved; `on_progress` gets the number of each batch. Rows are looked for in the
    order of their ids, which is that in which they were written: a table that is written all the
    time needs no index more. It ends at the first batch without an old row.
    """
    moved, last_id = 0, 0
    while not is_over():
        found = move.look(last_id)
        if found.ids:
            make_months(move.tables, found.months)
            number = _moved(move, found.ids)
            moved += number
            if on_progress is not None:
                on_progress(number)
        if found.last_id is None or not found.old:
            break
        last_id = found.last_id
    return moved


def _moved(move: Move, ids: Sequence[int]) -> int:
    """Move the rows together, or in halves if one of them cannot move. One row costs one row."""
    try:
        with transaction.atomic():
            return move.move(ids)
    except Exception as error:
        if is_held(error) or is_outage(error):
            raise
        if len(ids) == 1:
            log.exception("The row %s cannot be moved into %s", ids[0], move.tables[0])
            return 0
    half = len(ids) // 2
    return _moved(move, ids[:half]) + _moved(move, ids[half:])


def _part(table: str, month: Month) -> str:
    return f"{table}_y{month.year:04}m{month.number:02}"


def _month(name: str) -> Month:
    _, _, digits = name.rpartition("_y")
    year, number = digits.split("m")
    return Month(int(year), int(number))
