"""The entries of a ledger and the draws of an experiment, as rows and as records."""

from collections.abc import Iterator
from datetime import UTC, datetime

from django.db.models import QuerySet

from experiments.ledger import DrawRecord, Entry, SectionRecord, ShareRecord
from experiments.models import Assignment, Experiment, LedgerEntry, SectionDraw, SharePeriod

_UNIT = (
    "unit_key",
    "arm__key",
    "bucket",
    "assigned_at",
    "enrollment__course__key",
    "stratum__key",
    "position",
    "section_draw__unit",
    "layer_unit",
    "period__position",
)
_SECTION = ("unit", "arm__key", "bucket", "stratum__key", "position", "size", "at")


def instant(at: datetime) -> str:
    """Return the instant as the ledger writes it."""
    return at.astimezone(UTC).isoformat()


def draw_records(rows: QuerySet[Assignment]) -> list[DrawRecord]:
    """Return the draws of units as records, in the order of the rows. One query."""
    return [
        DrawRecord(str(unit), arm, bucket, instant(at), *more)
        for unit, arm, bucket, at, *more in rows.values_list(*_UNIT)
    ]


def section_records(rows: QuerySet[SectionDraw]) -> list[SectionRecord]:
    """Return the draws of sections as records, in the order of the rows. One query."""
    return [
        SectionRecord(unit, arm, bucket, stratum, position, size, instant(at))
        for unit, arm, bucket, stratum, position, size, at in rows.values_list(*_SECTION)
    ]


def share_records(rows: QuerySet[SharePeriod]) -> list[ShareRecord]:
    """Return the shares of adaptive draws as records, in the order of their draws. One query."""
    values = rows.order_by("position").values_list("position", "at", "shares", "counts")
    return [ShareRecord(position, instant(at), *more) for position, at, *more in values]


def entry_of(row: LedgerEntry) -> Entry:
    """Return the row as an entry of the chain."""
    return Entry(
        row.position, row.kind, row.content, instant(row.at), row.previous_sha256, row.sha256
    )


def entry_row(experiment_id: int, entry: Entry) -> LedgerEntry:
    """Return the entry as a row that is not saved yet."""
    return LedgerEntry(
        experiment_id=experiment_id,
        position=entry.position,
        kind=entry.kind,
        content=entry.content,
        previous_sha256=entry.previous_sha256,
        sha256=entry.sha256,
        at=datetime.fromisoformat(entry.at),
    )


def entries_of(experiment: Experiment) -> Iterator[Entry]:
    """Yield the entries in their order, without holding all of them."""
    rows = LedgerEntry.objects.filter(experiment=experiment).order_by("position")
    return map(entry_of, rows.iterator(chunk_size=20))
