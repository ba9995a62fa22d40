"""Time to an event when some learners are censored: it had not happened up to their time."""

from dataclasses import dataclass, replace
from math import inf, isfinite, isnan, sqrt
from operator import attrgetter
from typing import Self

import numpy as np
import scipy
from numpy.typing import ArrayLike, NDArray

from experiments.stats.estimate import NOBODY, UNKNOWN, Estimate, t_estimate, unknown
from experiments.stats.means import satterthwaite

_Numbers = NDArray[np.float64]

_METHOD = "restricted mean t"
_MEDIAN = "Brookmeyer-Crowley, log-log"
_NO_EVENTS = "no event happened while both arms were observed"
_LATE = "no learner of {} is observed up to the horizon, so the curve is not known that far"
_ONE = "fewer than two learners of {} are observed up to the event or the horizon"
_SAME = "the times of {} do not vary up to the horizon, so it is not known how much they would"
_LONG = "the event has happened to fewer than half of the learners"
_FEW_EVENTS = "too few events are counted for an upper limit of the median"
# One half, and the rounding of a product.
_HALF = 0.5 + 1e-12
_NONE_LEFT = "nobody is left, so the formula of the error divides by zero"


@dataclass(frozen=True)
class Times:
    """An arm's distinct times in ascending order, each with its events and its censored learners.

    The times may be in any one unit. Raise ValueError for other numbers than times and counts.
    """

    counted: tuple[tuple[float, int, int], ...] = ()

    def __post_init__(self) -> None:
        before = -inf
        for time, events, censored in self.counted:
            if not (isfinite(time) and time >= 0 and time > before):
                raise ValueError("Times must be finite, not negative, and ascending.")
            if min(events, censored) < 0 or events + censored < 1:
                raise ValueError(f"{events} events and {censored} censored are not counts.")
            before = time

    def __add__(self, other: Self) -> "Times":
        merged: dict[float, tuple[int, int]] = {}
        for time, events, censored in (*self.counted, *other.counted):
            before = merged.get(time, (0, 0))
            merged[time] = (before[0] + events, before[1] + censored)
        return Times(tuple((time, *merged[time]) for time in sorted(merged)))

    @classmethod
    def from_array(cls, times: ArrayLike, *, events: ArrayLike) -> "Times":
        """Return the counts of one time per learner, and whether the event happened at it."""
        values, happened = np.asarray(times, dtype=np.float64), np.asarray(events, dtype=bool)
        if values.shape != happened.shape:
            raise ValueError("Each time needs its event or its censoring.")
        found, places = np.unique(values, return_inverse=True)
        all_counts = np.bincount(places, minlength=found.size)
        with_event = np.bincount(places[happened], minlength=found.size)
        columns = (found, with_event, all_counts - with_event)
        return cls(tuple(zip(*(column.tolist() for column in columns), strict=True)))

    @property
    def n(self) -> int:
        """Return the number of learners."""
        return sum(events + censored for _, events, censored in self.counted)


@dataclass(frozen=True)
class Step:
    """The curve from one time with events on: the share of learners without the event.

    `at_risk` is the number of learners observed without the event just before that time.
    """

    time: float
    at_risk: int
    events: int
    survival: float
    standard_error: float
    low: float
    high: float
    reason: str = ""


@dataclass(frozen=True)
class LogRank:
    """The events of the treatment, how many equal arms would let expect, and the test."""

    observed: float
    expected: float
    chi_square: float
    p_value: float
    reason: str = ""


def kaplan_meier(times: Times, *, level: float = 0.95) -> tuple[Step, ...]:
    """Return the product-limit curve, one step per time with events.

    The error is Greenwood's. The limits are symmetric on the scale log(-log survival), so they stay
    within 0 and 1; they hold for each time on its own, not for the whole curve. Where nobody is
    left, error and limits are nan with a reason. Kaplan and Meier (1958), JASA 53:457; Kalbfleisch
    and Prentice (2002), The Statistical Analysis of Failure Time Data, section 1.4.
    """
    at, events, at_risk = _events(times)
    remaining = np.maximum(at_risk - events, 0)
    some = remaining > 0
    logs = np.cumsum(np.log(np.where(some, remaining, 1) / at_risk))
    spread = np.sqrt(np.cumsum(events / (at_risk * np.where(some, remaining, 1))))
    survival = np.where(some, np.exp(logs), 0.0)
    ratio = np.exp(float(scipy.special.ndtri((1 + level) / 2)) * spread / np.where(some, -logs, 1))
    columns = (at, at_risk, events, survival, survival * spread,
               np.exp(logs * ratio), np.exp(logs / ratio))  # fmt: skip
    steps = [
        Step(time, int(risk), int(count), *numbers)
        for time, risk, count, *numbers in zip(*(each.tolist() for each in columns), strict=True)
    ]
    if steps and not some[-1]:
        steps[-1] = replace(
            steps[-1], standard_error=UNKNOWN, low=UNKNOWN, high=UNKNOWN, reason=_NONE_LEFT
        )
    return tuple(steps)


def median_time(times: Times, *, level: float = 0.95) -> Estimate:
    """Return the first time by which the event has happened to half, in the unit of the times.

    Censoring is accounted for by the product-limit curve. The limits are the times from which the
    curve's own limits are at most one half. There is no value, with a reason, if the curve stays
    above one half, and no upper limit if its upper limit does. Brookmeyer and Crowley (1982),
    Biometrics 38:29.
    """
    curve = kaplan_meier(times, level=level)
    value, low, high = (
        next((step.time for step in curve if share(step) <= _HALF), UNKNOWN)
        for share in (attrgetter("survival"), attrgetter("low"), attrgetter("high"))
    )
    reason = _FEW_EVENTS if isnan(high) else ""
    if isnan(value):
        reason = _LONG if times.counted else NOBODY.format("this arm")
    return Estimate(value, low, high, UNKNOWN, level, _MEDIAN, "none", reason)


def log_rank(control: Times, treatment: Times) -> LogRank:
    """Return the two-sided log-rank test of equal curves.

    At each time with events, the number of events that fall on the treatment is hypergeometric
    under the hypothesis, which also holds with ties. Mantel (1966), Cancer Chemotherapy Reports
    50:163; Peto and Peto (1972), JRSS A 135:185.
    """
    for arm, name in ((control, "the control"), (treatment, "this arm")):
        if not arm.counted:
            return LogRank(UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, NOBODY.format(name))
    at, events, at_risk = _events(control + treatment)
    treated = _still_observed(treatment, at)
    share = treated / at_risk
    observed = float(sum(count for _, count, _ in treatment.counted))
    expected = float((events * share).sum())
    # With one learner at risk, share * (1 - share) is 0, and the last factor would be 0 / 0.
    ties = (at_risk - events) / np.maximum(at_risk - 1, 1)
    variance = float((events * share * (1 - share) * ties).sum())
    if variance <= 0:
        return LogRank(observed, expected, UNKNOWN, UNKNOWN, _NO_EVENTS)
    chi_square = (observed - expected) ** 2 / variance
    return LogRank(observed, expected, chi_square, float(scipy.special.chdtrc(1, chi_square)))


def restricted_mean(times: Times, *, horizon: float, level: float = 0.95) -> Estimate:
    """Return the mean of the time up to the event or the horizon, in the unit of the times.

    It is the area under the Kaplan-Meier curve. Its variance is that of Klein and Moeschberger
    (2003), Survival Analysis, equation 4.5.2, times m / (m - 1) for the m learners who are observed
    up to the event or the horizon, and the interval is Student's with m - 1. So without censoring
    all is the same as for the mean of min(time, horizon). There is no value if the horizon lies
    beyond the last time at which somebody is observed, unless the event has then happened to
    everybody at risk. Raise ValueError for a horizon that is not above 0.
    """
    area, variance, m = _area(times, horizon)
    reason = _unknown_area(times, horizon, "this arm") or _unknown_spread(variance, m, "this arm")
    if reason:
        return unknown(area, level=level, reason=reason)
    error = sqrt(variance) * horizon
    found = t_estimate(area, error, m - 1, level=level, method=_METHOD)
    # A test that the mean time is 0 would say nothing.
    return replace(found, p_value=UNKNOWN, test="none", statistic=UNKNOWN)


def restricted_mean_difference(
    control: Times, treatment: Times, *, horizon: float, level: float = 0.95
) -> Estimate:
    """Return the treatment's restricted mean minus the control's, in the unit of the times.

    Below 0 the event comes earlier in the treatment. The degrees of freedom are Welch's, so without
    censoring the result is that of Welch's t for min(time, horizon). Normal limits, as in Royston
    and Parmar (2013), BMC Medical Research Methodology 13:152, would cover too rarely in a class of
    24: Horiguchi and Uno (2020), Statistics in Medicine 39:2655.
    """
    arms = (("the control", control), ("this arm", treatment))
    areas = [_area(arm, horizon) for _, arm in arms]
    value = areas[1][0] - areas[0][0]
    reasons = [_unknown_area(arm, horizon, name) for name, arm in arms]
    reasons += [_unknown_spread(areas[i][1], areas[i][2], name) for i, (name, _) in enumerate(arms)]
    if any(reasons):
        return unknown(value, level=level, reason=next(filter(None, reasons)))
    (_, one, m0), (_, other, m1) = areas
    error = sqrt(one + other) * horizon
    df = satterthwaite((one, m0 - 1), (other, m1 - 1))
    return t_estimate(value, error, df, level=level, method=_METHOD)


def restricted_mean_values(times: Times, *, horizon: float) -> tuple[tuple[float, float], ...]:
    """Return for each time of the arm the value of a learner with the event, and of a censored one.

    The mean of these values over the arm is its restricted mean, and each tells by how much its
    learner moves it: they are the restricted mean plus the influence function of the curve. Without
    censoring they are min(time, horizon). So sums of them by section give a variance that allows
    for learners of one section being alike. They are nan if the restricted mean is not known.
    Reid (1981), Annals of Statistics 9:78, for the influence function; Ying and Wei (1994), Journal
    of Multivariate Analysis 50:17, for the sums over dependent learners.
    """
    area, _, _ = _area(times, horizon)
    at, events, at_risk = _events(times)
    before = at < horizon
    at, events, at_risk = at[before], events[before], at_risk[before]
    survival = np.cumprod((at_risk - events) / at_risk)
    beyond = np.cumsum((survival * np.diff(np.append(at, horizon)))[::-1])[::-1]
    # Where the event happened to all at risk, nothing lies beyond.
    lost = times.n * beyond / np.where(at_risk > events, at_risk - events, 1.0)
    waited = np.append(0.0, np.cumsum(lost * events / at_risk))
    loss = dict(zip(at.tolist(), lost.tolist(), strict=True))
    of_censored = (
        area + waited[np.searchsorted(at, [time for time, _, _ in times.counted], "right")]
    )
    return tuple(
        (value - loss.get(time, 0.0), value)
        for (time, _, _), value in zip(times.counted, of_censored.tolist(), strict=True)
    )


def _area(times: Times, horizon: float) -> tuple[float, float, int]:
    """Return the area, its variance with the horizon as unit, and the m of `restricted_mean`.

    The area is nan if it is not known.
    """
    if not (isfinite(horizon) and horizon > 0):
        raise ValueError("The horizon must be a finite time above 0.")
    if _unknown_area(times, horizon, ""):
        return UNKNOWN, UNKNOWN, 0
    at, events, at_risk = _events(times)
    before = at < horizon
    at, events, at_risk = at[before] / horizon, events[before], at_risk[before]
    survival = np.cumprod((at_risk - events) / at_risk)
    widths = np.diff(np.append(at, 1.0))
    first = float(at[0]) if at.size else 1.0
    beyond = np.cumsum((survival * widths)[::-1])[::-1]
    # Where the event happened to all at risk, the curve is 0 and nothing lies beyond.
    left = np.where(at_risk > events, at_risk - events, 1.0)
    variance = float((beyond**2 * events / (at_risk * left)).sum())
    lost = sum(censored for time, _, censored in times.counted if time < horizon)
    m = times.n - lost
    area = (first + float((survival * widths).sum())) * horizon
    return area, variance * m / (m - 1) if m > 1 else UNKNOWN, m


def _unknown_area(times: Times, horizon: float, arm: str) -> str:
    if not times.counted:
        return NOBODY.format(arm)
    last, _, censored = times.counted[-1]
    return _LATE.format(arm) if last < horizon and censored else ""


def _unknown_spread(variance: float, m: int, arm: str) -> str:
    if m < 2:
        return _ONE.format(arm)
    return "" if variance > 0 else _SAME.format(arm)


def _events(times: Times) -> tuple[_Numbers, _Numbers, _Numbers]:
    """Return the times with events, their numbers, and how many were at risk before each."""
    found = [(time, events) for time, events, _ in times.counted if events]
    at, events = np.array(found, dtype=np.float64).reshape(-1, 2).T
    return at, events, _still_observed(times, at)


def _still_observed(times: Times, at: _Numbers) -> _Numbers:
    """Return how many learners have a time not before each instant."""
    own = np.array([time for time, _, _ in times.counted])
    sizes = np.array([events + censored for _, events, censored in times.counted])
    gone: _Numbers = np.concatenate([[0.0], np.cumsum(sizes)])
    return times.n - gone[np.searchsorted(own, at, side="left")]
