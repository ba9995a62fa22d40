"""The part of starting an experiment that needs this app alone.

Only the start operation of interventions may call it. That operation also checks what the arms
would receive, and draws the present members of the segments.
"""

from datetime import datetime

from django.db import transaction

from experiments.models import Experiment, ExperimentStatus
from experiments.plan import Plan, PlanError, digest, plan_text
from experiments.queries import planned_arms, promise_of


@transaction.atomic
def lock_plan_and_run(experiment_id: int, *, now: datetime) -> Experiment:
    """Lock the plan and start drawing. Raise PlanError for no draft, or for arms it cannot draw."""
    experiment = locked_experiment(experiment_id)
    if experiment.status != ExperimentStatus.DRAFT:
        raise PlanError(f"The experiment is not a draft: it is {experiment.status}.")
    experiment.plan = plan_text(_plan(experiment))
    experiment.plan_sha256 = digest(experiment.plan)
    experiment.status = ExperimentStatus.RUNNING
    experiment.started_at = now
    experiment.save(update_fields=["plan", "plan_sha256", "status", "started_at"])
    return experiment


def locked_experiment(experiment_id: int) -> Experiment:
    """Return the experiment with its row locked for the rest of the transaction."""
    return Experiment.objects.select_for_update(no_key=True).get(pk=experiment_id)


def _plan(experiment: Experiment) -> Plan:
    arms, promise = planned_arms(experiment), promise_of(experiment)
    return Plan(arms=arms, seed=experiment.seed, promise=promise)
