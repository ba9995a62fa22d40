"""Draft, check, end and archive experiments. A trigger of the database knows the same order."""

from datetime import datetime
from decimal import Decimal

from django.db import transaction

from experiments.models import Arm, Ending, Experiment, ExperimentStatus
from experiments.operations.ledger import note_state, seal_experiment
from experiments.protocol import ProtocolError, read_protocol
from experiments.queries import draft_problems
from experiments.queries.designs import design_problems
from experiments.starting import locked_experiment
from segmentation.models import Segment

# Why an experiment with this status does not become what was asked.
_NOT_CHECKED = {
    ExperimentStatus.RUNNING: "The experiment is running. Only a draft is checked.",
    ExperimentStatus.STOPPED: "The experiment is stopped. Only a draft is checked.",
    ExperimentStatus.ARCHIVED: "The experiment is archived. Only a draft is checked.",
}
_NOT_STOPPED = {
    ExperimentStatus.DRAFT: "The experiment was never started.",
    ExperimentStatus.CHECKED: "The experiment was never started.",
    ExperimentStatus.ARCHIVED: "The experiment is archived, so it was stopped long ago.",
}
_NOT_ARCHIVED = {
    ExperimentStatus.DRAFT: "The experiment was never started. Delete the draft instead.",
    ExperimentStatus.CHECKED: "The experiment was never started. Delete the draft instead.",
    ExperimentStatus.RUNNING: "The experiment is running. Stop it first.",
}


@transaction.atomic
def draft_halves(key: str, *, name: str, hypothesis: str, segment: Segment) -> tuple[Arm, Arm]:
    """Create a draft that compares no message with messages, half each.

    Return its control and its treatment arm.
    """
    experiment = Experiment.objects.create(
        key=key, name=name, hypothesis=hypothesis, segment=segment
    )
    arms = ("control", "No message"), ("nudge", "Messages")
    control, treatment = (
        Arm.objects.create(
            experiment=experiment,
            key=arm_key,
            name=arm_name,
            weight=Decimal("0.5"),
            is_control=arm_key == "control",
            position=position,
        )
        for position, (arm_key, arm_name) in enumerate(arms)
    )
    return control, treatment


@transaction.atomic
def check_experiment(experiment_id: int, *, now: datetime) -> Experiment:
    """Mark the draft as checked, until somebody edits it.

    Raise ProtocolError with its problems, or if it has already started.
    """
    experiment = locked_experiment(experiment_id)
    _refuse(experiment, _NOT_CHECKED)
    problems = draft_problems(experiment) + design_problems(experiment, now=now)
    if problems:
        raise ProtocolError(" ".join(problems))
    experiment.status, experiment.checked_at = ExperimentStatus.CHECKED, now
    experiment.save(update_fields=["status", "checked_at"])
    return experiment


@transaction.atomic
def stop_experiment(
    experiment_id: int, *, now: datetime, because: Ending = Ending.STAFF
) -> Experiment:
    """Stop drawing learners; those drawn keep their arm. Raise ProtocolError for a draft.

    A stopped experiment keeps its instant.
    """
    experiment = locked_experiment(experiment_id)
    _refuse(experiment, _NOT_STOPPED)
    if experiment.status == ExperimentStatus.RUNNING:
        end(experiment, now=now, because=because)
        seal_experiment(experiment_id, now=now)
    return experiment


def end(experiment: Experiment, *, now: datetime, because: Ending) -> None:
    """Write the end of a running experiment, whose row must be locked."""
    experiment.status = ExperimentStatus.STOPPED
    experiment.stopped_at, experiment.ended_because = now, because
    experiment.save(update_fields=["status", "stopped_at", "ended_because"])
    note_state(experiment.pk, now=now)


def end_due(*, now: datetime) -> list[int]:
    """Stop the running experiments whose end date has come, and return them. May run at any time.

    The instant of the end is the date, not the moment of the beat that notices it.
    """
    ended = []
    for pk, text in _running_with_dates():
        due = _end_of(text)
        if due is not None and due <= now:
            stop_experiment(pk, now=due, because=Ending.DATE)
            ended.append(pk)
    return ended


def _running_with_dates() -> list[tuple[int, str]]:
    # The row's date only finds them quickly. It was locked together with the protocol's.
    running = Experiment.objects.filter(status=ExperimentStatus.RUNNING, ends_at__isnull=False)
    return list(running.order_by("pk").values_list("pk", "protocol"))


def _end_of(text: str) -> datetime | None:
    try:
        return read_protocol(text).design.end
    except ProtocolError:
        # A later release wrote it, and its own workers will end it.
        return None


@transaction.atomic
def archive_experiment(experiment_id: int, *, now: datetime) -> Experiment:
    """Put a stopped experiment away, which frees its part of a layer.

    Raise ProtocolError for one that was not stopped.
    """
    experiment = locked_experiment(experiment_id)
    _refuse(experiment, _NOT_ARCHIVED)
    if experiment.status != ExperimentStatus.ARCHIVED:
        experiment.status, experiment.archived_at = ExperimentStatus.ARCHIVED, now
        experiment.save(update_fields=["status", "archived_at"])
    return experiment


@transaction.atomic
def name_winner(experiment_id: int, arm_key: str, *, now: datetime) -> Experiment:
    """Name the arm that the control gets from now on. Raise ProtocolError if it cannot."""
    experiment = locked_experiment(experiment_id)
    if experiment.status not in (ExperimentStatus.STOPPED, ExperimentStatus.ARCHIVED):
        raise ProtocolError("A winner is named after the end. Stop the experiment first.")
    protocol = read_protocol(experiment.protocol)
    if protocol.design.afterwards != "winner":
        raise ProtocolError("The protocol does not promise the winner to the control.")
    arms = [arm.key for arm in protocol.arms if not arm.is_control]
    if arm_key not in arms:
        raise ProtocolError(f"The winner is one of these arms: {', '.join(arms)}.")
    experiment.winner = arm_key
    experiment.save(update_fields=["winner"])
    note_state(experiment_id, now=now)
    return experiment


def _refuse(experiment: Experiment, sentences: dict[ExperimentStatus, str]) -> None:
    sentence = sentences.get(ExperimentStatus(experiment.status))
    if sentence is not None:
        raise ProtocolError(sentence)
