"""The interval for any time.

The primary outcome also has an interval that holds however often one looks. It is wider, and
narrowest in proportion at the number of learners that the plan expects: Waudby-Smith et al. (2024),
Annals of Statistics 52:2613.
"""

import numpy as np
from scipy import stats

from experiments.exports.notebook.means import welch
from experiments.exports.notebook.reading import Array


def any_time_interval(
    kind: str, columns: tuple[list[Array], list[Array]], compared: dict[str, float],
    expected: float, level: float,
) -> dict[str, float]:  # fmt: skip
    """Return the interval of the difference and its p-value. The columns are of both arms."""
    control, arm = (each[0] for each in columns)
    found = compared
    if kind in ("binary", "mean"):
        if min(control.size, arm.size) < 12:
            return {}
        is_rate = kind == "binary"
        found = {"error": rate_error(control, arm) if is_rate else mean_error(control, arm, level)}
    if not found.get("error", 0) > 0:
        return {}
    error, value = found["error"], compared["difference"]
    # The learners as a share of those expected, in units of the best mixture.
    doubled = -2 * np.log(1 - level)
    ratio = (control.size + arm.size) / expected * (doubled + np.log1p(doubled))
    errors = np.sqrt((1 + 1 / ratio) * (doubled + np.log1p(ratio)))
    z = abs(value) / error
    if "df" in found:
        # The quantiles of t and of the normal distribution with the same tail.
        errors = stats.t.isf(stats.norm.sf(errors), found["df"])
        z = stats.norm.isf(stats.t.sf(z, found["df"]))
    low, high = value - errors * error, value + errors * error
    if kind == "binary":
        low, high = max(low, -1.0), min(high, 1.0)
    p = np.exp(min((np.log1p(ratio) - z * z * ratio / (1 + ratio)) / 2, 0.0))
    return {"low": float(low), "high": float(high), "p_value": float(p)}


def rate_error(control: Array, arm: Array) -> float:
    """Return the error of a difference of rates, each arm with one learner more of each kind."""
    parts = [(each.size + 2, (each.sum() + 1) / (each.size + 2)) for each in (control, arm)]
    (n0, rate0), (n1, rate1) = parts
    spread0, spread1 = rate0 * (1 - rate0), rate1 * (1 - rate1)
    return float(np.sqrt(max(spread0 / n0 + spread1 / n1, spread0 / n1 + spread1 / n0)))


def mean_error(control: Array, arm: Array, level: float) -> float:
    """Return Welch's error, or that of equal spreads if it is larger; 0 without Welch's."""
    if "error" not in welch(control, arm, level):
        return 0.0
    sizes = np.array([control.size, arm.size])
    spreads = np.array([control.var(ddof=1), arm.var(ddof=1)])
    pooled = ((sizes - 1) * spreads).sum() / (sizes.sum() - 2)
    return float(np.sqrt(max((spreads / sizes).sum(), pooled * (1 / sizes).sum())))
