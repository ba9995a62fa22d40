"""Numbers as text for readers: as many digits as the interval supports, a dash for nan."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil, floor, isfinite, log10

from experiments.stats.comparison import Comparison
from experiments.stats.estimate import Estimate
from experiments.stats.units import Unit

MISSING = "-"
_MOST_DECIMALS = 6
_FEWEST_DECIMALS = 1


@dataclass(frozen=True)
class Figures:
    """Formats the numbers of one outcome in its unit."""

    unit: Unit
    decimals: int = _FEWEST_DECIMALS

    @classmethod
    def of(cls, comparisons: Sequence[Comparison]) -> "Figures":
        """Return one format for all comparisons with a control.

        It has enough decimals for two digits of the narrowest interval, and never shows a limit
        other than 0 as 0. If one decimal more makes the rounded levels differ by the rounded
        difference, it has that one too.
        """
        found = cls.of_estimates([each.difference for each in comparisons], comparisons[0].unit)
        # With more decimals a page would be hard to read, and thirds never add up.
        finer = replace(found, decimals=min(found.decimals + 1, _MOST_DECIMALS))
        for candidate in (found, finer):
            if all(map(candidate.adds_up, comparisons)):
                return candidate
        return found

    @classmethod
    def of_estimates(cls, estimates: Sequence[Estimate], unit: Unit) -> "Figures":
        """Return one format for all estimates, as `of` does for comparisons."""
        return cls(unit, max(_decimals(each, unit) for each in estimates))

    def showing(self, estimate: Estimate) -> "Figures":
        """Return this format, with more decimals only if it would write a limit other than 0 as 0.

        So a check beside an outcome has the digits of the outcome.
        """
        decimals = self.decimals
        while (
            decimals < _MOST_DECIMALS
            and estimate.has_interval
            and _hides_a_sign(estimate, self.unit.factor * _power(decimals))
        ):
            decimals += 1
        return replace(self, decimals=decimals)

    def level(self, value: float) -> str:
        """Return a rate or a mean: `45.2%` or `1.42`."""
        return self._scaled(value, after=self.unit.sign)

    def change(self, value: float) -> str:
        """Return a difference with its sign: `+5.1` or `-0.03`."""
        return self._scaled(value, before="+")

    def change_with_unit(self, value: float) -> str:
        """Return a difference with its sign and its unit: `+5.1 points`."""
        return self._scaled(value, before="+", after=self.unit.points)

    def apart(self, comparison: Comparison) -> float:
        """Return the difference of the two rounded levels, so that a printed line adds up.

        An adjusted difference is not that of the levels, and is returned as it is.
        """
        if comparison.is_adjusted:
            return comparison.difference.value
        levels = (comparison.arm_level, comparison.control_level)
        factor = self.unit.factor
        arm, control = (float(f"{each * factor:.{self.decimals}f}") for each in levels)
        return (arm - control) / factor

    def adds_up(self, comparison: Comparison) -> bool:
        """Return whether the rounded levels differ by the rounded difference."""
        difference = comparison.difference.value
        if not isfinite(difference):
            return True
        return self.change(self.apart(comparison)) == self.change(difference)

    def size(self, value: float) -> str:
        """Return the size of a difference, without sign and with its unit: `5.1 points`."""
        return self._scaled(abs(value), after=self.unit.points)

    def bound(self, value: float) -> str:
        """Return a limit without sign and with its unit, rounded away from 0.

        Rounded towards 0, "more than" would rule out values that the interval allows.
        """
        return self.size(_outward(abs(value), self._scale))

    def interval(self, estimate: Estimate) -> str:
        """Return both limits with their signs, rounded outward: `-2.4 to +12.4`."""
        low, high = self.limits(estimate.low, estimate.high)
        return f"{low} to {high}"

    def limits(self, low: float, high: float) -> tuple[str, str]:
        """Return both limits as `interval` writes them."""
        outward = -_outward(-low, self._scale), _outward(high, self._scale)
        return self.change(outward[0]), self.change(outward[1])

    @property
    def _scale(self) -> int:
        return self.unit.factor * _power(self.decimals)

    def _scaled(self, value: float, *, before: str = "", after: str = "") -> str:
        if not isfinite(value):
            return MISSING
        return f"{value * self.unit.factor:{before}.{self.decimals}f}{after}"


def percent_change(value: float) -> str:
    """Return a relative lift with its sign: `+12.3%`."""
    return f"{value:+.1%}" if isfinite(value) else MISSING


def p_text(p_value: float) -> str:
    """Return `p = 0.015`, or `p < 0.001`: no test is precise enough for smaller values."""
    if not isfinite(p_value):
        return "p not known"
    return "p < 0.001" if p_value < 0.001 else f"p = {p_value:.3f}"


def level_text(level: float) -> str:
    """Return `95%`."""
    return f"{level * 100:g}%"


def _decimals(estimate: Estimate, unit: Unit) -> int:
    if not estimate.has_interval:
        return unit.decimals
    width = (estimate.high - estimate.low) * unit.factor
    wanted = 1 - floor(log10(width)) if width > 0 else _FEWEST_DECIMALS
    decimals = min(max(wanted, _FEWEST_DECIMALS), _MOST_DECIMALS)
    # A limit just above 0 that is written as 0.0 would contradict the verdict next to it.
    while decimals < _MOST_DECIMALS and _hides_a_sign(estimate, unit.factor * _power(decimals)):
        decimals += 1
    return decimals


def _hides_a_sign(estimate: Estimate, scale: int) -> bool:
    low, high = -_outward(-estimate.low, scale), _outward(estimate.high, scale)
    return (estimate.low != 0 and low == 0) or (estimate.high != 0 and high == 0)


def _power(decimals: int) -> int:
    return int(10**decimals)


def _outward(value: float, scale: int) -> float:
    """Return the value rounded up to a multiple of 1 / scale."""
    # A rounding error must not add a step.
    return ceil(value * scale - 1e-9) / scale if isfinite(value) else value
