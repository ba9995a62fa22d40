"""Comparison of an arm with the control for any kind of outcome, in pages and commands alike."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from experiments.stats.adjusted import Rows, adjusted_difference
from experiments.stats.estimate import UNKNOWN, Estimate, unknown
from experiments.stats.margins import Guardrail, Margin, mean_guardrail, rate_guardrail
from experiments.stats.means import mean_difference, relative_mean
from experiments.stats.rates import rate_difference, relative_rate
from experiments.stats.ratios import RatioSums, ratio, ratio_difference, relative_ratio
from experiments.stats.sufficient import Counts, Moments
from experiments.stats.survival import Times, restricted_mean, restricted_mean_difference
from experiments.stats.units import DAYS, PERCENT, PLAIN, Unit

_NO_RELATIVE_TIME = "a relative difference of times cut off at a horizon depends on the horizon"
_NO_RELATIVE_ADJUSTED = "the adjusted difference has no level of the control to be relative to"


@dataclass(frozen=True)
class Followed:
    """The times of an arm's learners in days, and the day up to which they are compared."""

    times: Times
    horizon: float


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
    # The test of a margin; None if this kind of outcome has none.
    guard: Callable[[Any, Any, Margin, float], Guardrail] | None = None
    # The difference is adjusted, so it is not that of the two levels.
    is_adjusted: bool = False


def _compare_rates(control: Counts, arm: Counts, level: float) -> tuple[Estimate, Estimate]:
    return rate_difference(control, arm, level=level), relative_rate(control, arm, level=level)


def _compare_means(control: Moments, arm: Moments, level: float) -> tuple[Estimate, Estimate]:
    difference = mean_difference(control, arm, level=level)
    return difference, relative_mean(control, arm, difference)


def _compare_ratios(control: RatioSums, arm: RatioSums, level: float) -> tuple[Estimate, Estimate]:
    difference = ratio_difference(control, arm, level=level)
    return difference, relative_ratio(control, arm, difference)


def _compare_times(control: Followed, arm: Followed, level: float) -> tuple[Estimate, Estimate]:
    difference = restricted_mean_difference(
        control.times, arm.times, horizon=arm.horizon, level=level
    )
    return difference, unknown(UNKNOWN, level=level, reason=_NO_RELATIVE_TIME)


def _compare_adjusted(control: Rows, arm: Rows, level: float) -> tuple[Estimate, Estimate]:
    found = adjusted_difference(control, arm, level=level)
    return found.estimate, unknown(UNKNOWN, level=level, reason=_NO_RELATIVE_ADJUSTED)


def _mean_time(followed: Followed) -> float:
    return restricted_mean(followed.times, horizon=followed.horizon).value


def _mean_outcome(rows: Rows) -> float:
    return float(rows.outcomes.mean()) if rows.outcomes.size else UNKNOWN


def _guard_rates(control: Counts, arm: Counts, margin: Margin, level: float) -> Guardrail:
    return rate_guardrail(control, arm, margin, level=level)


def _guard_means(control: Moments, arm: Moments, margin: Margin, level: float) -> Guardrail:
    return mean_guardrail(control, arm, margin, level=level)


RATES = Family("binary", PERCENT, lambda counts: counts.rate, _compare_rates, _guard_rates)
MEANS = Family("mean", PLAIN, lambda moments: moments.average, _compare_means, _guard_means)
RATIOS = Family("ratio", PERCENT, ratio, _compare_ratios)
TIMES = Family("time", DAYS, _mean_time, _compare_times)
ADJUSTED = Family("adjusted", PLAIN, _mean_outcome, _compare_adjusted, is_adjusted=True)


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
    is_adjusted: bool = False


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
            is_adjusted=family.is_adjusted,
        )
        for arm, found in outcomes.items()
        if arm != control
    ]
