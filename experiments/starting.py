"""The part of a start that concerns experiments alone.

Only the operation of interventions that starts an experiment may call it: that one also looks at
what the arms would receive, and at who is in the segments already.
"""

from datetime import datetime

from django.db import transaction

from experiments.models import Experiment, ExperimentStatus
from experiments.plan import Plan, PlanError, digest, plan_text
from experiments.queries import planned_arms, promise_of


@transaction.atomic
def lock_plan_and_run(experiment_id: int, *, now: datetime) -> Experiment:
    """Lock the plan and begin to draw. Raise PlanError where it is no draft or cannot be drawn."""
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
