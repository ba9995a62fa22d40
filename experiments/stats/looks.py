"""Looks at planned dates of a course: how far apart the arms must be at each for a decision.

The looks share the error rate alpha of one test. Without an effect, the chance that any of them
finds a difference is alpha in all. This holds if the dates do not depend on the results, for
statistics that are close to normal with independent increments, such as differences of means or
rates. For looks at any other time there are confidence sequences (`sequences`).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from math import isfinite, sqrt

import scipy

from experiments.stats.crossing import FARTHEST, Position, walk

ALPHA = 0.05

# Takes an information fraction and alpha, and returns the part of alpha that is spent by then.
Spending = Callable[[float, float], float]


def obrien_fleming_spending(fraction: float, alpha: float) -> float:
    """Return the part of alpha that is spent by this information fraction: early, next to nothing.

    Each side spends 2 (1 - Phi(z / sqrt(t))), with z the quantile of 1 - alpha / 4. The boundary is
    close to that of O'Brien and Fleming. Lan and DeMets (1983), Biometrika 70:659.
    """
    if fraction <= 0:
        return 0.0
    return float(4 * scipy.special.ndtr(scipy.special.ndtri(alpha / 4) / sqrt(min(fraction, 1.0))))


def power_spending(exponent: float) -> Spending:
    """Return the spending function alpha t^exponent of Kim and DeMets (1987), Biometrika 74:149."""
    return lambda fraction, alpha: float(alpha * min(max(fraction, 0.0), 1.0) ** exponent)


def boundary(
    fractions: Sequence[float],
    *,
    alpha: float = ALPHA,
    spending: Spending = obrien_fleming_spending,
) -> tuple[float, ...]:
    """Return the critical value of |z| at each look, for looks at these information fractions.

    The probability of a first crossing at a look is what the spending function allows between this
    look and the one before. The last fraction is 1 if all of alpha is to be spent. No value is
    above 8: an infinite one would give no interval, and 8 spends only 1e-15. Raise ValueError for
    fractions that descend or are not above 0.
    """
    return _critical(fractions, [spending(fraction, alpha) for fraction in fractions])


def nominal_levels(
    fractions: Sequence[float],
    *,
    alpha: float = ALPHA,
    spending: Spending = obrien_fleming_spending,
) -> tuple[float, ...]:
    """Return for each look the level (0..1) of its repeated confidence interval."""
    return tuple(map(nominal_level, boundary(fractions, alpha=alpha, spending=spending)))


def nominal_level(critical: float) -> float:
    """Return the level of an interval that excludes 0 exactly if |z| exceeds the critical value."""
    return 1 - 2 * float(scipy.special.ndtr(-critical))


def pocock_constant(looks: int, *, alpha: float = ALPHA) -> float:
    """Return the critical value that is the same at all of so many looks, equally far apart.

    Pocock (1977), Biometrika 64:191.
    """
    return _constant([1.0] * looks, alpha)


def obrien_fleming_constant(looks: int, *, alpha: float = ALPHA) -> float:
    """Return the constant c of the critical values c sqrt(K / k) at look k of K.

    O'Brien and Fleming (1979), Biometrics 35:549.
    """
    return _constant([sqrt(looks / number) for number in range(1, looks + 1)], alpha)


def crossing_chance(fractions: Sequence[float], critical: Sequence[float]) -> float:
    """Return the error rate: how often |z| exceeds a critical value at any look without an effect.

    `critical` has the critical value of each look.
    """
    made = walk(fractions, lambda number, _: critical[number])
    return sum(position.beyond(limit) for limit, position in made)


def rising_chance(fractions: Sequence[float], critical: Sequence[float], *, drift: float) -> float:
    """Return the power: how often z exceeds a critical value on the upper side at any look.

    `drift` is the mean of z at the information fraction 1.
    """
    made = walk(fractions, lambda number, _: critical[number], drift=drift)
    return sum(position.above(limit) for limit, position in made)


@dataclass(frozen=True)
class PlannedLook:
    """A look on a day of the course, and the information that is expected by then.

    Information has any scale on which it grows as 1 / (standard error)^2, such as counted learners.
    """

    on: date
    information: float


@dataclass(frozen=True)
class Look:
    """The latest look that was made, and what it takes for a decision.

    `number` counts the planned looks from 1 on. `fraction` (0..1) is the information in proportion
    to that planned for the last look, and `spent` the part of alpha that is spent by now. An
    estimate at `level` is the repeated confidence interval: with probability 1 - alpha, the
    intervals at all looks include the true difference, whether or not somebody stops at one that
    excludes 0. Jennison and Turnbull (1989), Journal of the Royal Statistical Society B 51:305.
    After a look that `is_final` there is no other.
    """

    number: int
    fraction: float
    critical: float
    level: float
    spent: float
    is_final: bool


def looks_by(planned: Sequence[PlannedLook], day: date) -> int:
    """Return how many of the planned looks are due by this day, including those on the day."""
    return sum(look.on <= day for look in planned)


def current_look(
    planned: Sequence[PlannedLook],
    observed: Sequence[float],
    *,
    alpha: float = ALPHA,
    spending: Spending = obrien_fleming_spending,
) -> Look:
    """Return the latest of the looks that were made, from the information observed at each.

    What was observed replaces what was planned: a look spends by its actual fraction. The last
    planned look spends the rest of alpha, however few learners came. If more came than planned, an
    earlier look with all of the planned information does so, and is the final one: it stands,
    whatever is observed later. A look without new information keeps the critical value of the look
    before. One without any information has 8, at which nothing is found. Raise ValueError if no
    look was made, more were made than planned, or the plan does not ascend.
    """
    _check(planned, observed)
    whole = planned[-1].information
    look = Look(0, 0.0, FARTHEST, nominal_level(FARTHEST), 0.0, is_final=False)
    fractions: list[float] = []
    parts: list[float] = []
    for number, information in enumerate(observed, start=1):
        fraction = max(information / whole, *fractions[-1:], 0.0)
        is_final = number == len(planned) or fraction >= 1
        spent = alpha if is_final else spending(fraction, alpha)
        if fraction > 0 and spent > look.spent:
            fractions.append(fraction)
            parts.append(spent)
        look = replace(
            look, number=number, fraction=min(fraction, 1.0), spent=spent, is_final=is_final
        )
        if is_final:
            break
    critical = (FARTHEST, *_critical(fractions, parts))[-1]
    return replace(look, critical=critical, level=nominal_level(critical))


def _critical(fractions: Sequence[float], spent: Sequence[float]) -> tuple[float, ...]:
    """Return the critical values that spend these parts of alpha by these fractions."""

    def choose(number: int, position: Position) -> float:
        part = spent[number] - (spent[number - 1] if number else 0.0)
        if part <= position.beyond(FARTHEST):
            return FARTHEST
        root = scipy.optimize.brentq(lambda z: position.beyond(z) - part, 0.0, FARTHEST, xtol=1e-12)
        return float(root)

    return tuple(critical for critical, _ in walk(fractions, choose))


def _constant(shape: Sequence[float], alpha: float) -> float:
    fractions = [number / len(shape) for number in range(1, len(shape) + 1)]

    def excess(constant: float) -> float:
        return crossing_chance(fractions, [constant * each for each in shape]) - alpha

    return float(scipy.optimize.brentq(excess, 0.0, FARTHEST, xtol=1e-10))


def _check(planned: Sequence[PlannedLook], observed: Sequence[float]) -> None:
    if not 1 <= len(observed) <= len(planned):
        raise ValueError("At least one look must be made, and no more than are planned.")
    if not all(isfinite(each) for each in observed):
        raise ValueError("The information of a look must be a number.")
    days, expected = [look.on for look in planned], [look.information for look in planned]
    if days != sorted(set(days)) or expected != sorted(expected) or expected[-1] <= 0:
        raise ValueError("The planned looks must be in the order of their days and information.")
