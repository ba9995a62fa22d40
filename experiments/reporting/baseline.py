"""How alike the arms were before the draw. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from math import sqrt

from experiments.metrics.columns import Acts, EventCount
from experiments.metrics.definitions import HIGHER, Metric
from experiments.metrics.observed import Before, Observed
from experiments.reporting.facts import ArmFacts
from experiments.reporting.small_cells import FEWEST, is_small
from experiments.stats.estimate import UNKNOWN
from experiments.stats.sufficient import Moments

_WEEK = timedelta(hours=7 * 24)
# A larger difference than this share of a standard deviation deserves a look. Austin (2009),
# Statistics in Medicine 28:3083. In small arms chance alone gives more, so it must also be beyond
# what 95 % of fair draws give: the variance of the difference is nearly 1 / n0 + 1 / n1.
NOTABLE = 0.1
_CHANCE = 1.96

BASELINE = tuple(
    Metric(key, name, _WEEK, Before(column), "", next(iter(Before.families)), HIGHER)
    for key, name, column in (
        ("acts before", "Everything done in the 7 days before", Acts(is_before=True)),
        ("attempts before", "Quiz attempts in the 7 days before",
         EventCount("ATTEMPT_QUIZ", is_before=True)),
        ("completions before", "Modules completed in the 7 days before",
         EventCount("COMPLETE_MODULE", first_only=True, is_before=True)),
    )
)  # fmt: skip


@dataclass(frozen=True)
class BaselineRow:
    """One number of the time before the draw: the mean of each arm, and how far it is apart.

    `apart` is by arm key the difference from the control in standard deviations; nan if the number
    does not vary. `is_notable` says whether one of them deserves a look.
    """

    name: str
    means: Mapping[str, float]
    apart: Mapping[str, float]
    is_notable: bool = False


def baseline_rows(
    arms: Sequence[ArmFacts], observed: Mapping[str, Mapping[str, Observed]]
) -> list[BaselineRow]:
    """Return each number of BASELINE among the learners who were enrolled for that long."""
    control = next(arm for arm in arms if arm.is_control)
    rows = []
    for metric in BASELINE:
        nobody = metric.observe({})
        found = {arm.key: observed.get(arm.key, {}).get(metric.key, nobody).sums for arm in arms}
        against = found[control.key]
        apart = {
            key: standardized_difference(against, sums)
            for key, sums in found.items()
            if key != control.key
        }
        means = {key: UNKNOWN if is_small(each.n) else each.average for key, each in found.items()}
        notable = any(_is_notable(each, against.n, found[key].n) for key, each in apart.items())
        rows.append(BaselineRow(metric.name, means, apart, notable))
    return rows


def _is_notable(apart: float, *sizes: int) -> bool:
    """Return whether the difference is large, and larger than chance alone often makes it."""
    return abs(apart) > max(NOTABLE, _CHANCE * sqrt(sum(1 / max(n, 1) for n in sizes)))


def standardized_difference(control: Moments, arm: Moments) -> float:
    """Return the difference of the means in standard deviations, those of both arms averaged.

    It is nan if an arm has too few learners, or if nothing varies.
    """
    if min(control.n, arm.n) < FEWEST:
        return UNKNOWN
    spread = sqrt((control.variance + arm.variance) / 2)
    return (arm.mean - control.mean) / spread if spread else UNKNOWN
