"""One estimated quantity: value, interval, p-value, and the reason if one is not known."""

from dataclasses import dataclass
from math import isnan

UNKNOWN = float("nan")


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
