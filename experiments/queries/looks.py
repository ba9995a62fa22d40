"""The looks of an experiment: what was counted at each planned one, and over time."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from django.db.models import Count

from experiments.metrics.definitions import Metric
from experiments.metrics.observed import Observed
from experiments.models import Assignment
from experiments.protocol import ExperimentProtocol
from experiments.queries.outcomes import aggregates_by_arm, ends_by
from experiments.reporting.compared import compared_arms, of_metric, sequences_of
from experiments.reporting.facts import ArmFacts
from experiments.reporting.looking import Decision, Looking, planned_looks
from experiments.stats.estimate import Estimate
from experiments.stats.looks import Look, current_look


def looking(
    experiment_id: int,
    protocol: ExperimentProtocol,
    *,
    arms: Sequence[ArmFacts],
    observed: Mapping[str, Mapping[str, Observed]],
    as_of: datetime,
) -> Looking:
    """Return the looks that the protocol plans. Two queries if one of them is due, else none.

    `observed` has the primary outcome at `as_of`, for the interval that holds at any time.
    """
    primary = protocol.chosen_metrics()[0]
    planned = tuple(map(datetime.fromisoformat, protocol.analysis.looks))
    due = [at for at in planned if at <= as_of]
    expected = protocol.analysis.expected_learners
    made = None
    if due:
        counted = _counted(experiment_id, due, primary.window)
        looks = planned_looks(planned, expected=expected)
        look = current_look(looks, counted, alpha=1 - protocol.level)
        made = _decision(experiment_id, due[look.number - 1], look, primary, arms)
    return Looking(
        planned,
        made,
        next((at for at in planned if at > as_of), None),
        _sequences(primary, arms, observed, expected, protocol.level),
    )


def _counted(experiment_id: int, instants: Sequence[datetime], window: timedelta) -> list[int]:
    """Return how many assignments had been counted by each instant. One query."""
    numbers = Assignment.objects.filter(experiment=experiment_id).aggregate(
        **{
            f"look_{place}": Count("pk", filter=ends_by(at, window))
            for place, at in enumerate(instants)
        }
    )
    return [numbers[f"look_{place}"] for place in range(len(instants))]


def _decision(
    experiment_id: int, at: datetime, look: Look, primary: Metric, arms: Sequence[ArmFacts]
) -> Decision:
    then = aggregates_by_arm(experiment_id, metrics=[primary], as_of=at)
    observed = of_metric(primary, arms, {arm: found.observed for arm, found in then.items()})
    return Decision(at, look, compared_arms(primary, arms, observed, level=look.level))


def _sequences(
    primary: Metric,
    arms: Sequence[ArmFacts],
    observed: Mapping[str, Mapping[str, Observed]],
    expected: int,
    level: float,
) -> dict[str, Estimate]:
    found = of_metric(primary, arms, observed)
    return sequences_of(primary, arms, found, tuned_to=expected, level=level)
