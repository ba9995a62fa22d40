"""Two rates of an adaptive draw, whose shares follow earlier outcomes.

Within a period the shares are constant, so it is an ordinary experiment. Pooled over periods, an
arm that began badly keeps its bad beginning, and a change of all learners over time counts as an
effect. So only learners of one period are compared.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import NDArray

from experiments.stats.estimate import NOBODY, UNKNOWN, Estimate, unknown
from experiments.stats.limits import turning_point
from experiments.stats.margins import Guardrail, Margin
from experiments.stats.score import restricted_rates
from experiments.stats.sufficient import Counts

Floats = NDArray[np.float64]

METHOD, TEST = "score by period, weights of equal variance", "score by period"
# Fewer learners in an arm, all periods together: the score test finds differences too often.
FEWEST = 10
_TOO_FEW = (
    f"in an adaptive draw, each arm needs {FEWEST} counted learners who can be compared with "
    "learners of the other arm in the same period"
)
_TOLERANCE = 1e-12


@dataclass(frozen=True)
class Pair:
    """The outcomes of the control and of an arm in one period."""

    control: Counts
    arm: Counts


@dataclass(frozen=True)
class PeriodDifference:
    """The difference of two rates over periods, and the two levels that it is the difference of.

    `precision` is that of the difference: the n0 n1 / (n0 + n1) of one ordinary experiment with an
    interval of the same width.
    """

    difference: Estimate
    control_level: float = UNKNOWN
    arm_level: float = UNKNOWN
    precision: float = 0.0


def period_difference(pairs: Sequence[Pair], *, level: float = 0.95) -> PeriodDifference:
    """Return arm rate minus control rate (-1..1), from learners of the same periods.

    The difference is sum(w d) / sum(w) over the periods with learners in both arms, with
    w = sqrt(n0 n1 / (n0 + n1)). So each period has the same variance in the sum whatever its
    shares, which gives the sum a normal limit even if the shares never settle: Zhang, Janson and
    Murphy (2020), NeurIPS, Inference for Batched Bandits, theorem 3. Weights by precision,
    n0 n1 / (n0 + n1), would not. The statistic of a difference d is
    sum(w (d_b - d)) / sqrt(sum(w^2 V_b(d))), V_b(d) the variance at the likeliest rates of the
    period that differ by d: Miettinen and Nurminen (1985), Statistics in Medicine 4:213, equation
    8 and section 5. The limits are the differences at which it is the normal quantile.

    If all outcomes are the same, the test says 1, and the interval says what is ruled out. Nan with
    a reason if an arm has fewer than 10 such learners.
    """
    used = [each for each in pairs if each.control.n and each.arm.n]
    reason = _reason(pairs, used)
    if reason:
        return PeriodDifference(unknown(UNKNOWN, level=level, reason=reason))
    tables = _Tables.of(used)
    weights = tables.weights / tables.weights.sum()
    levels = float(weights @ tables.rate0), float(weights @ tables.rate1)
    value, precision = levels[1] - levels[0], float(tables.weights.sum() ** 2 / len(used))
    return PeriodDifference(_estimate(tables, value, level), *levels, precision)


def period_statistic(pairs: Sequence[Pair], *, difference: float) -> float:
    """Return z of the hypothesis that the rates differ by `difference`, as in `period_difference`.

    0 if no learner can be compared.
    """
    used = [each for each in pairs if each.control.n and each.arm.n]
    return _Tables.of(used).statistic(difference) if used else 0.0


def period_weights(pairs: Sequence[Pair]) -> list[float]:
    """Return the weight of each period in `period_difference`. They sum to 1, if any is above 0."""
    if not any(each.control.n and each.arm.n for each in pairs):
        return [0.0] * len(pairs)
    with np.errstate(invalid="ignore"):
        weights = np.nan_to_num(_Tables.of(pairs).weights)
    found: list[float] = (weights / weights.sum()).tolist()
    return found


def period_guardrail(found: PeriodDifference, pairs: Sequence[Pair], margin: Margin) -> Guardrail:
    """Return the guardrail of the difference, with the test of `period_difference` at the margin.

    Farrington and Manning (1990), Statistics in Medicine 9:1447, for the test at a margin.
    """
    if not found.difference.has_interval:
        return Guardrail(found.difference, margin, UNKNOWN)
    z = period_statistic(pairs, difference=margin.side * margin.size)
    return Guardrail(found.difference, margin, float(scipy.special.ndtr(margin.side * z)))


def equal_precision(learners: int, arms: int) -> float:
    """Return the `precision` of a pair of arms if the learners had been drawn equally."""
    return learners / (2 * arms)


@dataclass(frozen=True)
class _Tables:
    """The tables of the periods: learners and successes of the control (0) and the arm (1)."""

    n0: Floats
    n1: Floats
    x0: Floats
    x1: Floats

    @classmethod
    def of(cls, pairs: Sequence[Pair]) -> "_Tables":
        rows = [
            (each.control.n, each.arm.n, each.control.successes, each.arm.successes)
            for each in pairs
        ]
        return cls(*np.array(rows, dtype=np.float64).T)

    @property
    def rate0(self) -> Floats:
        return self.x0 / self.n0

    @property
    def rate1(self) -> Floats:
        return self.x1 / self.n1

    @property
    def weights(self) -> Floats:
        found: Floats = np.sqrt(self.n0 * self.n1 / (self.n0 + self.n1))
        return found

    def statistic(self, difference: float) -> float:
        """Return z of the hypothesis that the rates differ by `difference` in every period."""
        rate0, rate1 = restricted_rates(self.n0, self.n1, self.x0, self.x1, difference)  # type: ignore[arg-type]
        n = self.n0 + self.n1
        variances = rate0 * (1 - rate0) / self.n0 + rate1 * (1 - rate1) / self.n1
        variance = float(self.weights**2 @ (variances * n / (n - 1)))
        apart = float(self.weights @ (self.rate1 - self.rate0 - difference))
        if variance <= 0:
            return 0.0 if abs(apart) < _TOLERANCE else float(np.copysign(np.inf, apart))
        return apart / float(np.sqrt(variance))


def _estimate(tables: _Tables, value: float, level: float) -> Estimate:
    quantile = float(scipy.special.ndtri((1 + level) / 2))

    def above(parameter: float) -> float:
        return tables.statistic(parameter) - quantile

    def below(parameter: float) -> float:
        return -tables.statistic(parameter) - quantile

    z = tables.statistic(0.0)
    low, high = (
        turning_point(test, end=end, value=value, null=0.0, tolerance=_TOLERANCE)
        for test, end in ((above, -1.0), (below, 1.0))
    )
    p_value = float(2 * scipy.special.ndtr(-abs(z)))
    return Estimate(value, low, high, p_value, level, METHOD, TEST, statistic=z)


def _reason(pairs: Sequence[Pair], used: Sequence[Pair]) -> str:
    """Return why the arms cannot be compared; empty if they can."""
    if not sum(each.control.n for each in pairs):
        return NOBODY.format("the control")
    if not sum(each.arm.n for each in pairs):
        return NOBODY.format("this arm")
    fewest = min(sum(each.control.n for each in used), sum(each.arm.n for each in used))
    return _TOO_FEW if fewest < FEWEST else ""
