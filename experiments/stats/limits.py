"""Where a test turns from rejecting to allowing: the search behind every inverted interval."""

from collections.abc import Callable

import scipy

# At an estimate of 0 or 1 some tests are exactly undecided: the root that is meant lies beside it.
_NUDGE = 1e-12
_LARGE = 1e6


def turning_point(
    test: Callable[[float], float], *, end: float, value: float, null: float, tolerance: float
) -> float:
    """Return the limit between `end` and `value`; the test is above 0 where it rejects.

    The end is the limit where it is allowed itself. `null` splits the search: the limit lies on the
    side of it that the test of no effect decides, so that no rounding can make the interval and
    the p-value disagree.
    """
    if min(end, value) < null < max(end, value):
        end, value = (null, value) if test(null) > 0 else (end, null)

    # Some tests are infinite where nothing varies: any large number rejects as well.
    def bounded(parameter: float) -> float:
        return min(test(parameter), _LARGE)

    if test(end) <= 0:
        return end
    beside = value + (end - value) * _NUDGE
    if test(beside) >= 0:
        return value
    return float(scipy.optimize.brentq(bounded, end, beside, xtol=tolerance, rtol=1e-12))
