"""Comparison of an arm with the control for any kind of outcome, in pages and commands alike."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from experiments.stats.estimate import Estimate
from experiments.stats.means import mean_difference, relative_mean
from experiments.stats.rates import rate_difference, relative_rate
from experiments.stats.sufficient import Counts, Moments
from experiments.stats.units import PERCENT, PLAIN, Unit


@dataclass(frozen=True)
class Family:
    """The statistics of one kind of outcome, computed from sums of one type per arm.

    `level` returns an arm's rate or mean, nan for an empty arm. `compare` takes the control's sums,
    the arm's sums and the confidence level, and returns the difference and the relative difference.
    """

    name: str
    unit: Unit
    level: Callable[[Any], float]
    compare: Callable[[Any, Any, float], tuple[Estimate, Estimate]]


def _compare_rates(control: Counts, arm: Counts, level: float) -> tuple[Estimate, Estimate]:
    return rate_difference(control, arm, level=level), relative_rate(control, arm, level=level)


def _compare_means(control: Moments, arm: Moments, level: float) -> tuple[Estimate, Estimate]:
    difference = mean_difference(control, arm, level=level)
    return difference, relative_mean(control, arm, difference)


RATES = Family("binary", PERCENT, lambda counts: counts.rate, _compare_rates)
MEANS = Family("mean", PLAIN, lambda moments: moments.average, _compare_means)


@dataclass(frozen=True)
class Comparison:
    """An arm and the control: the level of each, and their difference."""

    arm: str
    control: str
    unit: Unit
    arm_level: float
    control_level: float
    difference: Estimate
    relative: Estimate


def compare_arms(
    outcomes: Mapping[str, Any], *, family: Family, control: str, level: float = 0.95
) -> list[Comparison]:
    """Return the comparison of each other arm with the control, in the mapping's order.

    Raise KeyError for an unknown control.
    """
    against = outcomes[control]
    return [
        Comparison(
            arm,
            control,
            family.unit,
            family.level(found),
            family.level(against),
            *family.compare(against, found, level),
        )
        for arm, found in outcomes.items()
        if arm != control
    ]
