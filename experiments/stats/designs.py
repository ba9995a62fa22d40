"""What an experiment on whole sections, or one with several looks, can find. Pure.

`power` has the same for single learners and one look.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import isnan, sqrt

import scipy

from experiments.stats.estimate import UNKNOWN, Estimate, t_quantile, unknown
from experiments.stats.looks import crossing_chance, rising_chance
from experiments.stats.power import LEVEL, POWER, Detectable, design_effect
from experiments.stats.sections import section_df
from experiments.stats.sufficient import Moments

_TWO_EACH = "an arm of whole sections needs at least two of them"
_MISSED = "even the largest possible difference would often be hidden by how sections vary"
_MOST_SECTIONS = 1_000_000
# The largest mean of z for which a power is searched: it is found with certainty at any look.
_LARGEST_DRIFT = 20.0


@dataclass(frozen=True)
class SectionDesign:
    """Numbers of sections per arm, with the mean size and the coefficient of variation of sizes.

    `icc` (0..1) is the intraclass correlation of the outcome.
    """

    control: int
    treatment: int
    size: float
    icc: float
    variation: float = 0.0

    @property
    def effect(self) -> float:
        """Return the design effect."""
        return design_effect(self.icc, self.size, variation=self.variation)


def section_power(
    design: SectionDesign,
    *,
    difference: float,
    variances: tuple[float, float] = (1.0, 1.0),
    level: float = LEVEL,
) -> float:
    """Return the probability that a report finds this rise of a mean or a rate.

    `variances` are those of single learners in control and treatment, so with the default the
    difference is in standard deviations. The difference over its error, widened by the design
    effect, has a noncentral t: Donner and Klar (2000), Design and Analysis of Cluster Randomization
    Trials in Health Research, chapter 5. Reports have the cluster jackknife, whose variance is on
    average larger by the factor (G - 1) / G times the mean of g / (g - 1), and one degree of
    freedom more. An arm with fewer than two sections finds nothing.
    """
    arms = (design.control, design.treatment)
    if min(arms) < 2:
        return 0.0
    known = sum(each / arm for each, arm in zip(variances, arms, strict=True))
    if not known:
        return float(difference > 0)
    jackknife = sum(each / (arm - 1) for each, arm in zip(variances, arms, strict=True))
    jackknife *= (sum(arms) - 1) / sum(arms)
    error, df = sqrt(design.effect * known / design.size), section_df(*arms)
    limit = t_quantile(df, level) * sqrt(jackknife / known)
    missed = float(scipy.special.nctdtr(df - 1, difference / error, limit))
    # Instead of probabilities below 1e-100, some versions of scipy return nan.
    return 1.0 if isnan(missed) else 1 - missed


def detectable_section_rise(
    design: SectionDesign, *, baseline: float, level: float = LEVEL, power: float = POWER
) -> Detectable:
    """Return the smallest rise of a rate above the control's `baseline` found with the power.

    Raise ValueError for a baseline outside 0..1.
    """
    if not 0 <= baseline <= 1:
        raise ValueError("The baseline is a share, from 0 to 1.")
    return _detectable(
        design, lambda rise: _rise_power(design, baseline, rise, level) - power, 1 - baseline
    )


def detectable_section_effect(
    design: SectionDesign, *, level: float = LEVEL, power: float = POWER
) -> Detectable:
    """Return the smallest rise of a mean, in standard deviations, that is found with the power."""
    return _detectable(
        design, lambda rise: section_power(design, difference=rise, level=level) - power, 1e6
    )


def needed_sections(
    design: SectionDesign,
    *,
    baseline: float,
    rise: float,
    level: float = LEVEL,
    power: float = POWER,
) -> int:
    """Return the sections that each of two equal arms needs to find the rise of a rate.

    The numbers of sections in the design are not used. Raise ValueError if a rate is outside 0..1,
    the rise is not above 0, or a million sections would not do.
    """
    if not 0 <= baseline < baseline + rise <= 1:
        raise ValueError("The rise must be above 0, and both shares must be from 0 to 1.")

    def is_enough(number: int) -> bool:
        equal = SectionDesign(number, number, design.size, design.icc, design.variation)
        return _rise_power(equal, baseline, rise, level) >= power

    high = 2
    while not is_enough(high):
        high *= 2
        if high > _MOST_SECTIONS:
            raise ValueError("The rise is too small to be found with a million sections.")
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if is_enough(middle) else (middle, high)
    return high


def inflation_factor(
    fractions: Sequence[float], critical: Sequence[float], *, power: float = POWER
) -> float:
    """Return the factor by which looks need more learners than one look of the same error rate.

    The looks are at these information fractions, the last one 1, with these critical values of |z|.
    Divide the learners of each arm by it to get the smallest detectable difference with looks.
    Jennison and Turnbull (2000), Group Sequential Methods, section 2.3.
    """
    alpha = crossing_chance(fractions, critical)
    drift = scipy.optimize.brentq(
        lambda mean: rising_chance(fractions, critical, drift=mean) - power, 0.0, _LARGEST_DRIFT
    )
    single = scipy.special.ndtri(1 - alpha / 2) + scipy.special.ndtri(power)
    return float((drift / single) ** 2)


def icc_of_history(sections: Iterable[Moments], *, level: float = LEVEL) -> Estimate:
    """Return the intraclass correlation of earlier sections, which had no arms, with its interval.

    It is (F - 1) / (F + m0 - 1) with F from the one-way analysis of variance and m0 the mean size,
    less for uneven sizes. The limits have F divided by its quantiles, exactly so for sections of
    equal size and normal outcomes: Searle (1971), Linear Models, section 9.9; Donner (1979),
    American Journal of Epidemiology 110:335, for others. It can be negative, which means near 0.
    """
    counted = [each for each in sections if each.n]
    number, learners = len(counted), sum(each.n for each in counted)
    reason = _history_reason(counted)
    if reason:
        return unknown(UNKNOWN, level=level, reason=reason)
    inside = sum(each.deviations for each in counted)
    whole = sum(counted, start=Moments(0, 0.0, 0.0))
    between = max(whole.deviations - inside, 0.0) / (number - 1)
    ratio = between / (inside / (learners - number))
    size = (learners - sum(each.n**2 for each in counted) / learners) / (number - 1)
    tails = ((1 - level) / 2, (1 + level) / 2)
    low, high = (
        ratio / float(scipy.special.fdtri(number - 1, learners - number, tail))
        for tail in reversed(tails)
    )
    value, least, most = ((each - 1) / (each + size - 1) for each in (ratio, low, high))
    return Estimate(value, least, most, UNKNOWN, level, "analysis of variance, F", "none")


def _history_reason(counted: Sequence[Moments]) -> str:
    if len(counted) < 2:
        return "fewer than two earlier sections are counted, so it is not known how they vary"
    if all(each.n == 1 for each in counted):
        return "no earlier section has two learners"
    # A spread that is only a rounding error counts as none.
    if not any(each.n > 1 and each.variance for each in counted):
        return "no outcome varies within an earlier section"
    return ""


def _rise_power(design: SectionDesign, baseline: float, rise: float, level: float) -> float:
    rate = min(baseline + rise, 1.0)
    variances = baseline * (1 - baseline), rate * (1 - rate)
    return section_power(design, difference=rise, variances=variances, level=level)


def _detectable(
    design: SectionDesign, beyond: Callable[[float], float], largest: float
) -> Detectable:
    if min(design.control, design.treatment) < 2:
        return Detectable(UNKNOWN, _TWO_EACH)
    if beyond(largest) < 0:
        return Detectable(UNKNOWN, _MISSED)
    return Detectable(float(scipy.optimize.brentq(beyond, 0.0, largest, xtol=1e-9)))
