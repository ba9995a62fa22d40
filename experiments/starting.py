"""The part of starting an experiment that needs this app alone.

Only the start operation of interventions may call it. That operation also checks what the arms
would receive, and draws the present members of the segments.
"""

from dataclasses import replace
from datetime import datetime

from django.db import transaction

from experiments.ledger import State, next_entry, protocol_content
from experiments.ledger.chain import PROTOCOL
from experiments.ledger.states import Received, received_in
from experiments.models import Experiment, ExperimentStatus, LedgerEntry
from experiments.protocol import ExperimentProtocol, ProtocolError, digest, protocol_text
from experiments.queries import promise_of
from experiments.queries.ledger import entry_row, instant
from experiments.queries.planning import protocol_of_draft
from experiments.queries.states import state_of


@transaction.atomic
def lock_protocol_and_run(
    experiment_id: int, *, now: datetime, received: Received | None = None
) -> Experiment:
    """Lock the protocol and start drawing. `received` is what the arms get, and their caps.

    Raise ProtocolError for no draft, or for a design or arms that it cannot draw.
    """
    experiment = locked_experiment(experiment_id)
    if not ExperimentStatus(experiment.status).may_be_edited:
        raise ProtocolError(f"The experiment is not a draft: it is {experiment.status}.")
    experiment.protocol = protocol_text(_protocol(experiment, received, now))
    experiment.protocol_sha256 = digest(experiment.protocol)
    if experiment.status == ExperimentStatus.DRAFT:
        # The protocol was made, so nothing is missing. The states know no way past the check.
        experiment.status, experiment.checked_at = ExperimentStatus.CHECKED, now
        experiment.save(update_fields=["status", "checked_at"])
    experiment.status = ExperimentStatus.RUNNING
    experiment.started_at = now
    experiment.save(update_fields=["protocol", "protocol_sha256", "status", "started_at"])
    seal_protocol(experiment, now=now, state=received_in(state_of(experiment), received))
    return experiment


def seal_protocol(experiment: Experiment, *, now: datetime, state: State | None) -> None:
    """Write the first entry of the ledger, unless it is there.

    `state` is that at the start, or None if it is no longer known.
    """
    content = protocol_content(
        key=experiment.key,
        text=experiment.protocol,
        sha256=experiment.protocol_sha256,
        started_at=instant(experiment.started_at or now),
        state=state,
    )
    entry = next_entry(None, kind=PROTOCOL, content=content, at=instant(now))
    LedgerEntry.objects.bulk_create([entry_row(experiment.pk, entry)], ignore_conflicts=True)


def locked_experiment(experiment_id: int) -> Experiment:
    """Return the experiment with its row locked for the rest of the transaction."""
    return Experiment.objects.select_for_update(no_key=True).get(pk=experiment_id)


def _protocol(
    experiment: Experiment, received: Received | None, now: datetime
) -> ExperimentProtocol:
    caps = () if received is None else tuple(received.caps)
    found = protocol_of_draft(experiment, now=now)
    if found.design.end is not None and found.design.end <= now:
        raise ProtocolError("The end date has already passed. Choose a later one, or none.")
    return replace(found, promise=replace(promise_of(experiment), caps=caps))
