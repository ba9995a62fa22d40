"""Comparison of an arm with the control for any kind of outcome, in pages and commands alike."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import sqrt
from typing import Any

from experiments.stats.adjusted import Rows, adjusted_difference
from experiments.stats.estimate import UNKNOWN, Estimate, unknown
from experiments.stats.interactions import as_moments
from experiments.stats.margins import Guardrail, Margin, mean_guardrail, rate_guardrail
from experiments.stats.means import mean_difference, relative_mean
from experiments.stats.rates import rate_difference, rate_test, relative_rate
from experiments.stats.ratios import RatioSums, ratio, ratio_difference, relative_ratio
from experiments.stats.section_moments import (
    moments_of_rates,
    moments_of_ratios,
    moments_of_times,
)
from experiments.stats.section_slopes import adjusted_section_difference, section_residuals
from experiments.stats.sequences import mean_sequence, rate_sequence, sequence_interval
from experiments.stats.sufficient import Counts, Moments
from experiments.stats.survival import Times, restricted_mean, restricted_mean_difference
from experiments.stats.units import DAYS, PERCENT, PLAIN, Unit

# The test keeps its level with any number of permutations, and a simulation makes many tests.
_FEW_DRAWS = 999
_NO_RELATIVE_TIME = "a relative difference of times cut off at a horizon depends on the horizon"
_NO_RELATIVE_ADJUSTED = "the adjusted difference has no level of the control to be relative to"


ArmMoments = tuple[list[Moments], list[Moments]]


@dataclass(frozen=True)
class Followed:
    """The times of an arm's learners in days, and the day up to which they are compared."""

    times: Times
    horizon: float

    @property
    def is_censored(self) -> bool:
        """Return whether any learner without the event was not followed up to the horizon."""
        return any(censored for at, _, censored in self.times.counted if at < self.horizon)


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
    # The interval for those who look at any time, from both arms, the level and the planned number
    # of learners.
    sequence: Callable[[Any, Any, float, float], Estimate]
    # The test of a margin; None if this kind of outcome has none.
    guard: Callable[[Any, Any, Margin, float], Guardrail] | None = None
    # The standard deviation of an arm's outcomes; None if the kind of outcome has none.
    spread: Callable[[Any], float] | None = None
    # The moments of each section of an arm; None if this kind has no comparison by section.
    per_section: Callable[[Sequence[Any]], list[Moments]] | None = None
    # The comparison of the sections of two arms at a level; None if it is that of the moments.
    by_section: Callable[[Sequence[Any], Sequence[Any], float], Estimate] | None = None
    # The moments of each section of both arms for the test by the draw alone; None if it is of
    # those above.
    of_draw: Callable[[Sequence[Any], Sequence[Any]], ArmMoments] | None = None
    # The difference is adjusted, so it is not that of the two levels.
    is_adjusted: bool = False
    # A learner has the outcome or not, so a level is a share of the learners counted.
    counts_learners: bool = False
    # A learner has a number of any size, so outcomes can be ranked, and large ones cut.
    has_numbers: bool = False
    # A level is the mean of times that are cut at the end of the window.
    is_cut: bool = False
    # The moments of an arm, by which effects in two parts of the learners are compared; None if
    # they are not.
    as_moments: Callable[[Any], Moments] | None = None
    # The test alone, for simulations: without intervals, and with fewer permutations.
    test: Callable[[Any, Any], float] | None = None

    def p_value(self, control: Any, arm: Any, level: float) -> float:
        """Return the p-value of the test, for simulations; nan if nothing can be compared."""
        if self.test is not None:
            return self.test(control, arm)
        return self.compare(control, arm, level)[0].p_value


def _compare_rates(control: Counts, arm: Counts, level: float) -> tuple[Estimate, Estimate]:
    return rate_difference(control, arm, level=level), relative_rate(control, arm, level=level)


def _test_rates(control: Counts, arm: Counts) -> float:
    return rate_test(control, arm)[1] if control.n and arm.n else UNKNOWN


def _compare_means(control: Moments, arm: Moments, level: float) -> tuple[Estimate, Estimate]:
    difference = mean_difference(control, arm, level=level)
    return difference, relative_mean(control, arm, difference)


def _test_means(control: Moments, arm: Moments) -> float:
    return mean_difference(control, arm, draws=_FEW_DRAWS).p_value


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
    relative = unknown(UNKNOWN, level=level, reason=_NO_RELATIVE_ADJUSTED)
    why = "; ".join(found.notes)
    if why and not found.columns:
        why = f"nothing was adjusted for: {why}"
    note = f"{why[0].upper()}{why[1:]}." if why else ""
    return replace(found.estimate, note=note), relative


def _mean_time(followed: Followed) -> float:
    return restricted_mean(followed.times, horizon=followed.horizon).value


def _mean_outcome(rows: Rows) -> float:
    return float(rows.outcomes.mean()) if rows.outcomes.size else UNKNOWN


def _guard_rates(control: Counts, arm: Counts, margin: Margin, level: float) -> Guardrail:
    found = rate_guardrail(control, arm, margin, level=level)
    # The interval is that of all rates: in small and sparse arms, the score interval finds harm
    # too often.
    return replace(found, difference=rate_difference(control, arm, level=level))


def _guard_means(control: Moments, arm: Moments, margin: Margin, level: float) -> Guardrail:
    return mean_guardrail(control, arm, margin, level=level)


def _rate_sequence(control: Counts, arm: Counts, level: float, tuned_to: float) -> Estimate:
    return rate_sequence(control, arm, tuned_to=tuned_to, level=level)


def _mean_sequence(control: Moments, arm: Moments, level: float, tuned_to: float) -> Estimate:
    return mean_sequence(control, arm, tuned_to=tuned_to, level=level)


def _by_error(
    compare: Callable[[Any, Any, float], tuple[Estimate, Estimate]], size: Callable[[Any], int]
) -> Callable[[Any, Any, float, float], Estimate]:
    """Return the sequence that is made from the standard error of the difference."""

    def sequence(control: Any, arm: Any, level: float, tuned_to: float) -> Estimate:
        difference, _ = compare(control, arm, level)
        return sequence_interval(difference, n=size(control) + size(arm), tuned_to=tuned_to)

    return sequence


def _size(sums: RatioSums) -> int:
    return sums.n


def _size_of_times(followed: Followed) -> int:
    return followed.times.n


def _size_of_rows(rows: Rows) -> int:
    return rows.outcomes.size


def _times_of_sections(sections: Sequence[Followed]) -> list[Moments]:
    return moments_of_times([each.times for each in sections], horizon=sections[0].horizon)


def _adjusted_sections(control: Sequence[Rows], arm: Sequence[Rows], level: float) -> Estimate:
    return adjusted_section_difference(control, arm, level=level)


def _spread_of_rate(counts: Counts) -> float:
    return sqrt(counts.rate * (1 - counts.rate)) if counts.n else UNKNOWN


def _spread_of_mean(moments: Moments) -> float:
    return sqrt(moments.variance)


RATES = Family(
    "binary", PERCENT, lambda counts: counts.rate, _compare_rates, _rate_sequence, _guard_rates,
    test=_test_rates, spread=_spread_of_rate, per_section=moments_of_rates,
    counts_learners=True, as_moments=as_moments,
)  # fmt: skip
MEANS = Family(
    "mean", PLAIN, lambda moments: moments.average, _compare_means, _mean_sequence, _guard_means,
    test=_test_means, spread=_spread_of_mean, per_section=list,
    has_numbers=True, as_moments=as_moments,
)  # fmt: skip
RATIOS = Family(
    "ratio", PERCENT, ratio, _compare_ratios, _by_error(_compare_ratios, _size),
    per_section=moments_of_ratios,
)  # fmt: skip
TIMES = Family(
    "time", DAYS, _mean_time, _compare_times, _by_error(_compare_times, _size_of_times),
    per_section=_times_of_sections, is_cut=True,
)  # fmt: skip
ADJUSTED = Family(
    "adjusted", PLAIN, _mean_outcome, _compare_adjusted,
    _by_error(_compare_adjusted, _size_of_rows), is_adjusted=True,
    by_section=_adjusted_sections, of_draw=section_residuals,
)  # fmt: skip


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


def sequences(
    outcomes: Mapping[str, Any],
    *,
    family: Family,
    control: str,
    tuned_to: float,
    level: float = 0.95,
) -> dict[str, Estimate]:
    """Return by other arm the difference with an interval that holds at all times together.

    `tuned_to` is the planned number of learners in both arms.
    """
    against = outcomes[control]
    return {
        arm: family.sequence(against, sums, level, tuned_to)
        for arm, sums in outcomes.items()
        if arm != control
    }
