"""The search for the limits of an interval: the value at which a test stops rejecting."""

from collections.abc import Callable

import scipy

# At an estimate of 0 or 1 some tests are exactly 0. The root that is wanted lies next to it.
_NUDGE = 1e-12
_LARGE = 1e6


def turning_point(
    test: Callable[[float], float], *, end: float, value: float, null: float, tolerance: float
) -> float:
    """Return the limit between `end` and `value`. The test is above 0 where it rejects.

    The limit is `end` if the test does not reject there. The test at `null`, which is no effect,
    decides on which side of `null` the limit lies. So rounding cannot make the interval and the
    p-value disagree.
    """
    if min(end, value) < null < max(end, value):
        end, value = (null, value) if test(null) > 0 else (end, null)

    # Some tests are infinite where nothing varies. The search needs a finite number, and any large
    # one rejects too.
    def bounded(parameter: float) -> float:
        return min(test(parameter), _LARGE)

    if test(end) <= 0:
        return end
    beside = value + (end - value) * _NUDGE
    if test(beside) >= 0:
        return value
    return float(scipy.optimize.brentq(bounded, end, beside, xtol=tolerance, rtol=1e-12))
