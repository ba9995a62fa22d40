"""The ledger and the draws of an experiment as records, and the first difference between them."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

from django.db.models import QuerySet

from experiments.ledger import (
    DrawRecord,
    Draws,
    Entry,
    LedgerError,
    Replay,
    SectionRecord,
    chain_fault,
    difference,
    read_protocol_content,
)
from experiments.ledger.records import first_difference
from experiments.models import Assignment, EntryKind, Experiment, LedgerEntry, SectionDraw
from experiments.protocol import ProtocolError, digest, read_protocol
from experiments.queries.snapshots import snapshot_fault

_Record = DrawRecord | SectionRecord
_PORTION = 1000
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
)
_SECTION = ("unit", "arm__key", "bucket", "stratum__key", "position", "size", "at")


@dataclass
class Verification:
    """What was verified, with the digest of the last entry, and the first difference."""

    experiment: str
    entries: int = 0
    sections: int = 0
    draws: int = 0
    # Reports that were kept. Their numbers were computed again.
    snapshots: int = 0
    # Draws that no entry holds yet. They were replayed too.
    unsealed: int = 0
    head: str = ""
    difference: str = field(default="")

    @property
    def result(self) -> dict[str, Any]:
        """Return it for JSON."""
        return asdict(self)


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


def deviations_of(experiment: Experiment) -> list[tuple[datetime, str]]:
    """Return the changes after the start with their instants, the first one first. One query."""
    rows = LedgerEntry.objects.filter(experiment=experiment, kind=EntryKind.DEVIATION)
    pairs = rows.order_by("position").values_list("at", "content")
    return [(at, json.loads(content)["what"]) for at, content in pairs]


def verify_experiment(key: str) -> Verification:
    """Replay every draw of the experiment, compare the rows with the ledger, and check the chain.

    Raise ProtocolError if there is no such experiment, or if it was never started.
    """
    experiment = Experiment.objects.filter(key=key).first()
    if experiment is None:
        raise ProtocolError(f"There is no experiment with the key {key}.")
    if not experiment.protocol:
        raise ProtocolError(f"The experiment {key} was never started.")
    found = Verification(key)
    try:
        found.difference = _first_difference(experiment, found)
    except (LedgerError, ProtocolError) as error:
        found.difference = str(error)
    return found


def _first_difference(experiment: Experiment, found: Verification) -> str:
    rows = LedgerEntry.objects.filter(experiment=experiment).order_by("position")
    found.entries = rows.count()
    found.head = rows.reverse().values_list("sha256", flat=True).first() or ""
    fault = chain_fault(entries_of(experiment)) if found.entries else ""
    fault = fault or _protocol_fault(experiment)
    if fault:
        return fault
    replay = Replay(read_protocol(experiment.protocol))
    faults = (_sealed_fault(experiment, each, replay, found) for each in entries_of(experiment))
    return next(filter(None, faults), "") or _rest_fault(experiment, replay, found)


def _protocol_fault(experiment: Experiment) -> str:
    first = next(entries_of(experiment), None)
    locked = None if first is None else read_protocol_content(first)["protocol"]
    if locked is not None and locked != experiment.protocol:
        where = first_difference(locked, experiment.protocol)
        return f"The protocol is not the one that was locked: {where}."
    if digest(experiment.protocol) != experiment.protocol_sha256:
        return "The protocol does not have the digest that was noted at the start."
    return ""


def _sealed_fault(experiment: Experiment, entry: Entry, replay: Replay, found: Verification) -> str:
    if entry.kind == EntryKind.SNAPSHOT:
        found.snapshots += 1
        return snapshot_fault(experiment, entry)
    if entry.kind != EntryKind.DRAWS:
        return ""
    draws = Draws.read(entry)
    found.sections += len(draws.sections)
    found.draws += len(draws.units)
    sections = experiment.section_draws.filter(unit__in=[each.section for each in draws.sections])
    kept = {each.section: each for each in section_records(sections)}
    units = [each.unit for each in draws.units]
    # By the key of the enrollment, which has an index. It never changes.
    rows = experiment.assignments.filter(enrollment__unit_key__in=units)
    drawn = {each.unit: each for each in draw_records(rows)}
    pairs: list[tuple[str, _Record, _Record | None]] = [
        *((f"section {each.section!r}", each, kept.get(each.section)) for each in draws.sections),
        *((f"unit {each.unit}", each, drawn.get(each.unit)) for each in draws.units),
    ]
    return (
        next(filter(None, (_row_fault(entry, *pair) for pair in pairs)), "")
        or replay.sections(draws.sections)
        or replay.units(draws.units)
    )


def _row_fault(
    entry: Entry,
    name: str,
    sealed: DrawRecord | SectionRecord,
    found: DrawRecord | SectionRecord | None,
) -> str:
    if found is None:
        return f"The draw of the {name} in entry {entry.position} is no longer in the table."
    change = difference(sealed, found)
    return f"The draw of the {name} has {change} in entry {entry.position}." if change else ""


def _rest_fault(experiment: Experiment, replay: Replay, found: Verification) -> str:
    """Replay what is not sealed yet, and look at the whole."""
    sections = experiment.section_draws
    sealed = sections.filter(entry__isnull=False).count()
    if sealed != found.sections:
        return f"{sealed} sections are marked as sealed, but the ledger holds {found.sections}."
    sealed = experiment.assignments.filter(entry__isnull=False).count()
    if sealed != found.draws:
        return f"{sealed} draws are marked as sealed, but the ledger holds {found.draws}."
    fault = replay.sections(section_records(sections.filter(entry__isnull=True)))
    unsealed = experiment.assignments.filter(entry__isnull=True).order_by("pk")
    last = 0
    while not fault:
        ids = list(unsealed.filter(pk__gt=last).values_list("pk", flat=True)[:_PORTION])
        if not ids:
            return replay.remaining()
        found.unsealed += len(ids)
        last = ids[-1]
        fault = replay.units(draw_records(experiment.assignments.filter(pk__in=ids)))
    return fault
