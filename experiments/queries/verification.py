"""The first difference between the ledger of an experiment and its draws, facts and numbers."""

from dataclasses import asdict, dataclass, field, replace
from typing import Any

from experiments.ledger import (
    DrawRecord,
    Draws,
    Entry,
    LedgerError,
    Replay,
    SectionRecord,
    ShareRecord,
    chain_fault,
    difference,
    own_difference,
    read_protocol_content,
)
from experiments.ledger.records import first_difference
from experiments.models import EntryKind, Experiment, LedgerEntry
from experiments.protocol import ProtocolError, digest, read_protocol
from experiments.queries.ledger import draw_records, entries_of, section_records, share_records
from experiments.queries.share_periods import recount_fault
from experiments.queries.snapshots import snapshot_fault
from experiments.queries.states import last_state, state_of

_Record = DrawRecord | SectionRecord | ShareRecord
_PORTION = 1000


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
    protocol = read_protocol(experiment.protocol)
    replay = Replay(protocol)
    faults = (_sealed_fault(experiment, each, replay, found) for each in entries_of(experiment))
    return (
        next(filter(None, faults), "")
        or _state_fault(experiment)
        or _rest_fault(experiment, replay, found)
        # Last, as it counts the draws, which are known to be right by now.
        or recount_fault(experiment, protocol, share_records(experiment.share_periods.all()))
    )


def _protocol_fault(experiment: Experiment) -> str:
    first = next(entries_of(experiment), None)
    locked = None if first is None else read_protocol_content(first)["protocol"]
    if locked is not None and locked != experiment.protocol:
        where = first_difference(locked, experiment.protocol)
        return f"The protocol is not the one that was locked: {where}."
    if digest(experiment.protocol) != experiment.protocol_sha256:
        return "The protocol does not have the digest that was noted at the start."
    return ""


def _state_fault(experiment: Experiment) -> str:
    """Compare coverage, name, end and winner with the last state that was sealed."""
    sealed = last_state(experiment)
    if sealed is None:
        # An earlier release wrote the ledger.
        return ""
    found = state_of(experiment)
    if experiment.is_restored and not sealed.stopped_at:
        # The experiment of the ledger was running. Its copy never is.
        found = replace(found, stopped_at="")
    change = own_difference(sealed, found)
    return f"The experiment has {change} in its ledger." if change else ""


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
    periods = experiment.share_periods.filter(position__in=[each.position for each in draws.shares])
    shares = {each.position: each for each in share_records(periods)}
    pairs: list[tuple[str, _Record, _Record | None]] = [
        *(
            (f"shares from {each.position} on", each, shares.get(each.position))
            for each in draws.shares
        ),
        *((f"section {each.section!r}", each, kept.get(each.section)) for each in draws.sections),
        *((f"unit {each.unit}", each, drawn.get(each.unit)) for each in draws.units),
    ]
    return (
        next(filter(None, (_row_fault(entry, *pair) for pair in pairs)), "")
        or replay.sections(draws.sections)
        or replay.shares(draws.shares)
        or replay.units(draws.units)
    )


def _row_fault(
    entry: Entry,
    name: str,
    sealed: _Record,
    found: _Record | None,
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
    shares = experiment.share_periods.filter(entry__isnull=True)
    fault = fault or replay.shares(share_records(shares))
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
