"""Keep what the reports of experiments say, once a day, in their ledgers."""

from datetime import datetime, timedelta
from time import monotonic

from django.db import transaction
from django.db.models import Max, Q

from experiments.ledger.snapshots import Snapshot
from experiments.models import EntryKind, Experiment, ExperimentStatus, LedgerEntry
from experiments.operations.ledger import lock_ledger, record_snapshot
from experiments.protocol import ProtocolError, read_protocol
from experiments.queries import report

# A little less than a day, so that a snapshot does not wander through the hours.
_SHORTEST_DAY = timedelta(hours=23, minutes=30)


def snapshot_due(*, now: datetime, budget: float) -> int:
    """Keep the report of each experiment that has none of today, for some seconds.

    Return how many. Several workers may run it at any time.
    """
    deadline, kept = monotonic() + budget, 0
    for experiment in _open_experiments():
        if monotonic() > deadline:
            break
        kept += _snapshot(experiment, now=now)
    return kept


def _open_experiments() -> list[Experiment]:
    """Return the experiments whose numbers may still change, the oldest snapshot first."""
    last = Max("ledger__at", filter=Q(ledger__kind=EntryKind.SNAPSHOT))
    states = (ExperimentStatus.RUNNING, ExperimentStatus.STOPPED)
    found = Experiment.objects.filter(status__in=states, is_restored=False).select_related(
        "segment__playbook"
    )
    return list(found.annotate(last_at=last).order_by("last_at", "pk"))


@transaction.atomic
def _snapshot(experiment: Experiment, *, now: datetime) -> bool:
    if lock_ledger(experiment.pk, now=now, waits=False) is None:
        return False
    try:
        if not _is_due(experiment, now=now):
            return False
        kept = Snapshot.of(report(experiment, as_of=now))
    except ProtocolError:
        # Its protocol is of a later release. The page says so.
        return False
    record_snapshot(experiment.pk, content=kept.content(), now=now)
    return True


def _is_due(experiment: Experiment, *, now: datetime) -> bool:
    """Return whether a report is to be kept. It reads no draw, as each beat asks for it."""
    rows = LedgerEntry.objects.filter(experiment=experiment, kind=EntryKind.SNAPSHOT)
    last = rows.aggregate(at=Max("at"))["at"]
    if last is not None and (now - last < _SHORTEST_DAY or _is_final(experiment, last)):
        return False
    return experiment.assignments.exists()


def _is_final(experiment: Experiment, last: datetime) -> bool:
    """Return whether the last snapshot counted everybody who was drawn."""
    if experiment.stopped_at is None:
        return False
    windows = [metric.window for metric in read_protocol(experiment.protocol).chosen_metrics()]
    return last > experiment.stopped_at + max(windows, default=timedelta()) + timedelta(days=1)
