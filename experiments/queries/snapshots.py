"""Snapshots: what a report said and showed on a day, kept in the ledger and computed again."""

from datetime import datetime

from experiments.ledger import Entry
from experiments.ledger.snapshots import Snapshot, computed_rows, rows_difference
from experiments.models import EntryKind, Experiment, LedgerEntry
from experiments.protocol import read_protocol
from experiments.queries.reports import report
from experiments.queries.share_periods import has_events


def snapshot_fault(experiment: Experiment, entry: Entry) -> str:
    """Return the first number of the snapshot that does not come out again, as a sentence.

    The numbers are computed from the tables of the snapshot. Where the database has the events of
    the experiment, and not only its restored ledger, the tables are read from them again too.
    """
    kept = Snapshot.read(entry)
    name = f"The numbers in entry {entry.position} (as of {kept.as_of}) do not come out"
    change = rows_difference(kept, computed_rows(kept, read_protocol(experiment.protocol)))
    if change:
        return f"{name} of its tables: {change}."
    if not has_events(experiment):
        return ""
    now = Snapshot.of(report(experiment, as_of=datetime.fromisoformat(kept.as_of)))
    change = rows_difference(kept, now.rows)
    if change:
        return f"{name} of the event log: {change}."
    changed = [metric for metric, table in kept.tables.items() if now.tables[metric] != table]
    return f"{name} of the event log: the table of {changed[0]} differs." if changed else ""


def snapshot_days(experiment: Experiment) -> list[tuple[int, datetime]]:
    """Return position and instant of each snapshot, the latest first. One query."""
    rows = LedgerEntry.objects.filter(experiment=experiment, kind=EntryKind.SNAPSHOT)
    return list(rows.order_by("-position").values_list("position", "at"))


def snapshot_at(experiment: Experiment, position: int) -> Snapshot | None:
    """Return the snapshot in the entry at the position of the ledger, or None. One query."""
    rows = LedgerEntry.objects.filter(experiment=experiment, kind=EntryKind.SNAPSHOT)
    row = rows.filter(position=position).first()
    if row is None:
        return None
    entry = Entry(
        row.position, row.kind, row.content, row.at.isoformat(), row.previous_sha256, row.sha256
    )
    return Snapshot.read(entry)
