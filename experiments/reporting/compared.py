"""The outcomes of all arms of an experiment in one metric, and their comparison. Pure."""

from collections.abc import Mapping, Sequence

from experiments.metrics.definitions import Metric
from experiments.metrics.observed import Observed
from experiments.reporting.facts import ArmFacts
from experiments.reporting.small_cells import hidden, small_arms, without_small
from experiments.stats.comparison import Comparison, compare_arms, sequences
from experiments.stats.estimate import Estimate


def of_metric(
    metric: Metric, arms: Sequence[ArmFacts], observed: Mapping[str, Mapping[str, Observed]]
) -> dict[str, Observed]:
    """Return the metric's outcomes of every arm. An arm without outcomes is an empty arm."""
    nobody = metric.observe({})
    return {arm.key: observed.get(arm.key, {}).get(metric.key, nobody) for arm in arms}


def compared_arms(
    metric: Metric, arms: Sequence[ArmFacts], outcomes: Mapping[str, Observed], *, level: float
) -> list[Comparison]:
    """Return the comparison of each other arm with the control in the metric."""
    control = next(arm for arm in arms if arm.is_control)
    sums = {key: found.sums for key, found in outcomes.items()}
    compared = compare_arms(sums, family=metric.family, control=control.key, level=level)
    return without_small(compared, {key: found.n for key, found in outcomes.items()}, level=level)


def sequences_of(
    metric: Metric,
    arms: Sequence[ArmFacts],
    outcomes: Mapping[str, Observed],
    *,
    tuned_to: float,
    level: float,
) -> dict[str, Estimate]:
    """Return by other arm the difference with the interval that holds at all times together."""
    control = next(arm.key for arm in arms if arm.is_control)
    found = sequences(
        {key: each.sums for key, each in outcomes.items()},
        family=metric.family,
        control=control,
        tuned_to=tuned_to,
        level=level,
    )
    small = small_arms({key: each.n for key, each in outcomes.items()})
    return {arm: hidden(level) if {arm, control} & small else each for arm, each in found.items()}
