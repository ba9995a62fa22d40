"""Seal draws and changes in the ledger of an experiment, each entry chained to the last.

Sealing never keeps a draw waiting: it takes the draws that it can see, and locks only the first
entry of the ledger and rows that no other transaction holds.
"""

from collections.abc import Callable
from datetime import datetime
from time import monotonic

from django.db import transaction

from common.json_text import canonical_json
from experiments.ledger import Draws, next_entry
from experiments.ledger.states import Received, received_in, received_of
from experiments.models import (
    Assignment,
    EntryKind,
    Experiment,
    ExperimentStatus,
    LedgerEntry,
    SectionDraw,
    SharePeriod,
)
from experiments.queries.ledger import (
    draw_records,
    entry_of,
    entry_row,
    instant,
    section_records,
    share_records,
)
from experiments.queries.states import last_state, state_of
from experiments.starting import seal_protocol

BATCH_SIZE = 1000


def seal_due(*, now: datetime, budget: float) -> int:
    """Seal the draws of all experiments that the ledgers lack, for some seconds.

    Return how many. Several workers may run it at any time.
    """
    deadline, sealed = monotonic() + budget, 0
    for experiment_id in unsealed_experiments():
        while monotonic() < deadline:
            batch = seal_draws(experiment_id, now=now)
            sealed += batch
            if batch < BATCH_SIZE:
                break
    return sealed


def seal_experiment(experiment_id: int, *, now: datetime) -> None:
    """Seal what the ledger lacks, up to ten batches: the beat seals the rest of a large one."""
    for _ in range(10):
        if seal_draws(experiment_id, now=now) < BATCH_SIZE:
            return


def unsealed_experiments() -> list[int]:
    """Return the experiments with draws that their ledger lacks."""
    of_units = Assignment.objects.filter(entry__isnull=True).values_list("experiment", flat=True)
    of_sections = SectionDraw.objects.filter(entry__isnull=True)
    return sorted({*of_units.distinct(), *of_sections.values_list("experiment", flat=True)})


@transaction.atomic
def seal_draws(experiment_id: int, *, now: datetime) -> int:
    """Seal one batch of draws, and return how many it holds; 0 if another worker is sealing."""
    if lock_ledger(experiment_id, now=now, waits=False) is None:
        return 0
    sections = SectionDraw.objects.filter(experiment=experiment_id, entry__isnull=True)
    sections = sections.order_by("stratum__key", "position")
    unsealed = Assignment.objects.filter(experiment=experiment_id, entry__isnull=True)
    free = unsealed.select_for_update(no_key=True, skip_locked=True, of=("self",))
    ids = list(free.order_by("pk").values_list("pk", flat=True)[:BATCH_SIZE])
    units = Assignment.objects.filter(pk__in=ids).order_by("pk")
    records = tuple(draw_records(units))
    # Read after the units, so that the shares of each of them are seen.
    periods = SharePeriod.objects.filter(experiment=experiment_id, entry__isnull=True)
    draws = Draws(tuple(section_records(sections)), records, tuple(share_records(periods)))
    if not (draws.sections or draws.units):
        return 0
    entry = _append(experiment_id, EntryKind.DRAWS, draws.content(), now)
    names = [each.section for each in draws.sections]
    SectionDraw.objects.filter(experiment=experiment_id, unit__in=names).update(entry=entry)
    units.order_by().update(entry=entry)
    positions = [each.position for each in draws.shares]
    periods.filter(position__in=positions).update(entry=entry)
    return len(ids)


@transaction.atomic
def record_deviation(experiment_id: int, *, what: str, now: datetime) -> LedgerEntry:
    """Note a change of a started experiment in its ledger, as a sentence."""
    lock_ledger(experiment_id, now=now, waits=True)
    content = canonical_json({"at": instant(now), "what": what})
    return _append(experiment_id, EntryKind.DEVIATION, content, now)


@transaction.atomic
def note_state(
    experiment_id: int, *, now: datetime, waits: bool = True, received: Received | None = None
) -> bool:
    """Note the experiment's state if it is not the last one in the ledger. Return whether it was.

    What changes coverage, name, end or winner calls it in its own transaction. Without `waits`,
    nothing is noted while another transaction holds the ledger. Without `received`, the arms get
    what they got last.
    """
    if lock_ledger(experiment_id, now=now, waits=waits) is None:
        return False
    experiment = Experiment.objects.get(pk=experiment_id)
    last = last_state(experiment)
    state = received_in(state_of(experiment), received or received_of(last))
    if experiment.is_restored or state == last:
        return False
    _append(experiment_id, EntryKind.STATE, state.content(at=instant(now)), now)
    return True


def note_states_due(
    *, now: datetime, budget: float, received: Callable[[Experiment], Received]
) -> int:
    """Note what changed around the experiments whose numbers may still change, for some seconds.

    Rules of segments, settings of courses and messages are edited by apps and pages that know no
    ledger. `received` says what the arms of an experiment get. Return how many states were noted.
    Several workers may run it at any time.
    """
    deadline, noted = monotonic() + budget, 0
    states = (ExperimentStatus.RUNNING, ExperimentStatus.STOPPED)
    found = Experiment.objects.filter(status__in=states, is_restored=False)
    for each in found.order_by("status", "-started_at").defer("protocol"):
        if monotonic() > deadline:
            break
        noted += note_state(each.pk, now=now, waits=False, received=received(each))
    return noted


@transaction.atomic
def record_snapshot(experiment_id: int, *, content: str, now: datetime) -> LedgerEntry:
    """Note the numbers of a report, as canonical JSON."""
    lock_ledger(experiment_id, now=now, waits=True)
    return _append(experiment_id, EntryKind.SNAPSHOT, content, now)


def lock_ledger(experiment_id: int, *, now: datetime, waits: bool) -> LedgerEntry | None:
    """Lock the first entry, which holds the protocol, and write it if there is none yet.

    Return None if another transaction holds it and this one does not wait. The row of the
    experiment is no such lock: draws need it.
    """
    first = LedgerEntry.objects.filter(experiment=experiment_id, position=0)
    if not first.exists():
        # An earlier release started it.
        seal_protocol(Experiment.objects.get(pk=experiment_id), now=now, state=None)
    return first.select_for_update(no_key=True, skip_locked=not waits).first()


def _append(experiment_id: int, kind: EntryKind, content: str, now: datetime) -> LedgerEntry:
    last = LedgerEntry.objects.filter(experiment=experiment_id).latest("position")
    entry = next_entry(entry_of(last), kind=kind.value, content=content, at=instant(now))
    row = entry_row(experiment_id, entry)
    row.save()
    return row
