"""The part of starting an experiment that needs this app alone.

Only the start operation of interventions may call it. That operation also checks what the arms
would receive, and draws the present members of the segments.
"""

from dataclasses import replace
from datetime import datetime

from django.db import transaction

from experiments.models import Experiment, ExperimentStatus
from experiments.protocol import ExperimentProtocol, ProtocolError, digest, protocol_text
from experiments.queries import promise_of, protocol_arms


@transaction.atomic
def lock_protocol_and_run(
    experiment_id: int, *, now: datetime, caps: tuple[str, ...] = ()
) -> Experiment:
    """Lock the protocol and start drawing. `caps` are the frequency caps of single arms in words.

    Raise ProtocolError for no draft, or for arms that it cannot draw.
    """
    experiment = locked_experiment(experiment_id)
    if experiment.status != ExperimentStatus.DRAFT:
        raise ProtocolError(f"The experiment is not a draft: it is {experiment.status}.")
    experiment.protocol = protocol_text(_protocol(experiment, caps))
    experiment.protocol_sha256 = digest(experiment.protocol)
    experiment.status = ExperimentStatus.RUNNING
    experiment.started_at = now
    experiment.save(update_fields=["protocol", "protocol_sha256", "status", "started_at"])
    return experiment


def locked_experiment(experiment_id: int) -> Experiment:
    """Return the experiment with its row locked for the rest of the transaction."""
    return Experiment.objects.select_for_update(no_key=True).get(pk=experiment_id)


def _protocol(experiment: Experiment, caps: tuple[str, ...]) -> ExperimentProtocol:
    arms, promise = protocol_arms(experiment), replace(promise_of(experiment), caps=caps)
    return ExperimentProtocol(arms=arms, seed=experiment.seed, promise=promise)
