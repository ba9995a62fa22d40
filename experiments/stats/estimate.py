"""One estimated quantity: value, interval, p-value, and the reason if one is not known."""

from dataclasses import dataclass
from math import isnan

import scipy

UNKNOWN = float("nan")
# The reason of an arm without outcomes, to be filled with its name.
NOBODY = "no learner of {} is counted yet"


@dataclass(frozen=True)
class Estimate:
    """An estimate with its interval. A number that cannot be computed is nan, with a `reason`."""

    value: float
    low: float
    high: float
    p_value: float
    level: float
    # The interval's method and the test of p_value, by their names in the literature.
    method: str
    test: str
    reason: str = ""
    # Only for tests with a statistic: z or t, its degrees of freedom, and the standard error.
    statistic: float = UNKNOWN
    df: float = UNKNOWN
    standard_error: float = UNKNOWN
    # What an adjusted difference is not adjusted for, and why, as a sentence; else empty.
    note: str = ""

    @property
    def has_value(self) -> bool:
        """Return whether there is an estimate at all."""
        return not isnan(self.value)

    @property
    def has_interval(self) -> bool:
        """Return whether the estimate has an interval."""
        return not (isnan(self.low) or isnan(self.high))

    @property
    def excludes_zero(self) -> bool:
        """Return whether zero lies outside the interval; False without an interval."""
        return self.low > 0 or self.high < 0

    @property
    def is_significant(self) -> bool:
        """Return whether the test rejects at the interval's level; False without a test."""
        return self.p_value < 1 - self.level


def unknown(value: float, *, level: float, reason: str) -> Estimate:
    """Return an estimate that has the value only, and the reason why it has no interval."""
    return Estimate(value, UNKNOWN, UNKNOWN, UNKNOWN, level, "none", "none", reason)


def t_estimate(value: float, error: float, df: float, *, level: float, method: str) -> Estimate:
    """Return the estimate whose interval and test are by Student's t with this standard error."""
    statistic = value / error
    half = t_quantile(df, level) * error
    p_value = float(2 * scipy.special.stdtr(df, -abs(statistic)))
    return Estimate(
        value, value - half, value + half, p_value, level, method, method,
        statistic=statistic, df=df, standard_error=error,
    )  # fmt: skip


def t_quantile(df: float, level: float) -> float:
    """Return the number of standard errors between a value and its limits by Student's t."""
    return float(scipy.special.stdtrit(df, (1 + level) / 2))
