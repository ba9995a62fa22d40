"""What an experiment could show at its planned number of learners, from its draft. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil, inf, sqrt

from experiments.metrics.definitions import Metric
from experiments.reporting.replays import FEWEST
from experiments.stats.adaptive.forecast import Forecast
from experiments.stats.designs import (
    SectionDesign,
    detectable_section_rise,
    inflation_factor,
    section_power,
)
from experiments.stats.looks import boundary
from experiments.stats.power import POWER, Detectable, detectable_difference, rise_power

# Where nothing is known. At one half, a difference is hardest to see.
ASSUMED = 0.5
# The numbers of learners of a curve, as multiples of the planned number.
_MULTIPLES = (0.1, 0.2, 0.35, 0.5, 0.75, 1, 1.5, 2, 3, 4)
_FEWEST_ON_CURVE = 12
# A change of the arm's share of all learners.
_HARDLY = 0.01
_OF_SUCH = round(POWER * 5)


@dataclass(frozen=True)
class PowerFacts:
    """What the power is computed from: the arms, the outcome without messages, and sections.

    `sections` holds the variation and the correlation of the `most_sections` sections, if they are
    the unit. Its numbers of sections and their size are not used.
    """

    metric: Metric
    weights: Mapping[str, float]
    control: str
    treated: str
    level: float
    baseline: float
    learners: int
    planned: int
    sections: SectionDesign | None = None
    most_sections: int = 0
    looks: int = 0
    # What adapting the shares is expected to leave; None for other draws.
    forecast: Forecast | None = None
    # The names of the outcomes that an adaptive draw does not compare.
    uncompared: Sequence[str] = ()

    def arms(self, total: int) -> tuple[int, int]:
        """Return the sizes of the control and of the treated arm among so many learners."""
        control, treated = self.weights[self.control], self.weights[self.treated]
        return round(control * total), round(treated * total)

    def design(self, total: int) -> SectionDesign | None:
        """Return the sections of each arm if so many learners come from them; None for learners.

        All sections are drawn at the start, and the learners come from all of them.
        """
        if self.sections is None:
            return None
        control, treatment = self.arms(self.most_sections)
        size = max(total / self.most_sections, 1.0) if self.most_sections else 1.0
        return replace(self.sections, control=control, treatment=treatment, size=size)

    @property
    def worth(self) -> float:
        """Return the share of the learners with which one look would show as much as all looks.

        Or with which equal shares would show as much as shares that adapt.
        """
        if self.forecast is not None:
            return min(self.forecast.precision, 1.0)
        if self.looks < 2:
            return 1.0
        fractions = [(look + 1) / self.looks for look in range(self.looks)]
        return 1 / inflation_factor(fractions, boundary(fractions, alpha=1 - self.at_level))

    @property
    def at_level(self) -> float:
        """Return the level of one arm. With several arms, the correction is at most this strict."""
        return 1 - (1 - self.level) / (len(self.weights) - 1)


def power_texts(facts: PowerFacts) -> Iterator[str]:
    """Yield the smallest rise that is usually found at the planned number, and from what."""
    if not facts.metric.family.counts_learners:
        yield (
            "For such an outcome the power is not computed by a formula. The replays below show it."
        )
        return
    sizes, design = facts.arms(facts.planned), facts.design(facts.planned)
    given = f"if {facts.baseline:.0%} {facts.metric.words} without it"
    if design is not None:
        number = f"{design.control:,} and {design.treatment:,} sections"
    else:
        number = f"{sizes[0]:,} and {sizes[1]:,} learners"
    found = detectable(facts)
    if found.reason:
        yield f"With {number} no difference could be seen: {found.reason}."
    else:
        yield (
            f"With {number} you would see a difference of about {points(found.rise)} or more in "
            f"{_OF_SUCH} of 5 such experiments ({given}). A smaller one mostly stays unseen."
        )
    yield _source(facts)
    if facts.looks > 1:
        yield (
            f"{facts.looks} looks are planned, so it is as if there were only "
            f"{facts.worth:.1%} of the learners."
        )
    if facts.forecast is not None:
        yield _adapting(facts.forecast, len(facts.weights))
    if facts.uncompared:
        names = ", ".join(f"“{name}”" for name in facts.uncompared)
        yield f"An adaptive draw compares only shares of learners, so it will not compare {names}."
    if len(facts.weights) > 2:
        yield (
            f"{len(facts.weights) - 1} arms are compared with the control, so each needs a larger "
            "difference than it would need alone. The numbers are for the smallest of them."
        )


def detectable(facts: PowerFacts) -> Detectable:
    """Return the smallest rise that is found with the usual power at the planned number."""
    total = round(facts.planned * facts.worth)
    design, level = facts.design(total), facts.at_level
    if design is not None:
        return detectable_section_rise(design, baseline=facts.baseline, level=level)
    return detectable_difference(*facts.arms(total), baseline=facts.baseline, level=level)


def power_of(facts: PowerFacts, *, total: int, lift: float) -> float:
    """Return the chance (0..1) of finding the rise among so many learners."""
    total = round(total * facts.worth)
    design, rate = facts.design(total), min(facts.baseline + lift, 1.0)
    if design is not None:
        variances = (facts.baseline * (1 - facts.baseline), rate * (1 - rate))
        return section_power(design, difference=lift, variances=variances, level=facts.at_level)
    sizes = facts.arms(total)
    if min(sizes) < 1:
        return 0.0
    return rise_power(*sizes, baseline=facts.baseline, rise=lift, level=facts.at_level)


def power_curve(facts: PowerFacts, *, lift: float) -> tuple[tuple[int, float], ...]:
    """Return numbers of learners around the planned one with their power; none without a number."""
    if not facts.metric.family.counts_learners or not facts.planned or facts.baseline + lift > 1:
        return ()
    totals = sorted({max(round(facts.planned * by), _FEWEST_ON_CURVE) for by in _MULTIPLES})
    return tuple((total, power_of(facts, total=total, lift=lift)) for total in totals)


def points(rise: float) -> str:
    """Return the rise in whole percentage points, rounded up: less would promise too much."""
    number = ceil(rise * 100 - 1e-6)
    return "1 point" if number == 1 else f"{number:,} points"


def _adapting(forecast: Forecast, arms: int) -> str:
    if abs(forecast.share - 1 / arms) < _HARDLY:
        return "So few learners are planned that the shares of the arms would hardly change."
    width = 1 / sqrt(forecast.precision) if forecast.precision else inf
    return (
        "An adaptive draw finds the best arm sooner, but measures the difference less exactly. If "
        f"an arm is better by {points(forecast.lift)}, it gets about {forecast.share:.0%} of the "
        f"learners, not {1 / arms:.0%}. In return, the interval is about {width:.1f} times as "
        f"wide as with equal shares, as if there were only {min(forecast.precision, 1):.0%} of the "
        "learners."
    )


def _source(facts: PowerFacts) -> str:
    if facts.learners < FEWEST:
        return (
            f"The {facts.baseline:.0%} is assumed, as too few learners of the past are known. At "
            "one half, a difference is hardest to see."
        )
    return f"The {facts.baseline:.0%} is measured among {facts.learners:,} learners of the past."
