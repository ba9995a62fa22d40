"""How numbers are written for readers: as many digits as the interval supports, nan as a dash."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor, isfinite, log10

from experiments.stats.comparison import Comparison, average
from experiments.stats.estimate import Estimate

MISSING = "-"
_MOST_DECIMALS = 6
_FEWEST_DECIMALS = 1


@dataclass(frozen=True)
class Figures:
    """Writes the numbers of one outcome: rates as percent and points, means in their unit."""

    is_rate: bool
    decimals: int = _FEWEST_DECIMALS

    @classmethod
    def of(cls, comparisons: Sequence[Comparison]) -> "Figures":
        """Return a writer for the arms beside one control, with as many decimals for all.

        Two digits of the narrowest interval, and no limit as 0.
        """
        is_rate = comparisons[0].is_rate
        return cls(
            is_rate, max(_decimals(each.difference, is_rate=is_rate) for each in comparisons)
        )

    def level(self, value: float) -> str:
        """Return a rate or a mean: `45.2%` or `1.42`."""
        if not isfinite(value):
            return MISSING
        return f"{value:.{self.decimals}%}" if self.is_rate else f"{value:.{self.decimals}f}"

    def change(self, value: float) -> str:
        """Return a difference with its sign: `+5.1` or `-0.03`."""
        return self._scaled(value, sign="+")

    def apart(self, comparison: Comparison) -> float:
        """Return the difference of the two levels as they are written: a line must subtract."""
        outcomes = (comparison.arm_outcomes, comparison.control_outcomes)
        unit = 100 if self.is_rate else 1
        arm, control = (float(f"{average(each) * unit:.{self.decimals}f}") for each in outcomes)
        return (arm - control) / unit

    def size(self, value: float) -> str:
        """Return how large a difference is, without sign and with its unit: `5.1 points`."""
        written = self._scaled(abs(value))
        return f"{written} points" if self.is_rate else written

    def bound(self, value: float) -> str:
        """Return a limit without sign and with its unit, rounded away from 0.

        Rounded towards 0, "more than" would rule out what the interval allows.
        """
        return self.size(_outward(abs(value), self._scale))

    def interval(self, estimate: Estimate) -> str:
        """Return both limits with their signs, rounded outward: `-2.4 to +12.4`."""
        low, high = -_outward(-estimate.low, self._scale), _outward(estimate.high, self._scale)
        return f"{self.change(low)} to {self.change(high)}"

    @property
    def _scale(self) -> int:
        return (100 if self.is_rate else 1) * _power(self.decimals)

    def _scaled(self, value: float, sign: str = "") -> str:
        if not isfinite(value):
            return MISSING
        return f"{value * (100 if self.is_rate else 1):{sign}.{self.decimals}f}"


def percent_change(value: float) -> str:
    """Return a relative lift with its sign: `+12.3%`."""
    return f"{value:+.1%}" if isfinite(value) else MISSING


def p_text(p_value: float) -> str:
    """Return `p = 0.015`, or `p < 0.001`: smaller ones would claim what no test can tell."""
    if not isfinite(p_value):
        return "p not known"
    return "p < 0.001" if p_value < 0.001 else f"p = {p_value:.3f}"


def level_text(level: float) -> str:
    """Return `95%`."""
    return f"{level * 100:g}%"


def _decimals(estimate: Estimate, *, is_rate: bool) -> int:
    if not estimate.has_interval:
        return 1 if is_rate else 2
    unit = 100 if is_rate else 1
    width = (estimate.high - estimate.low) * unit
    wanted = 1 - floor(log10(width)) if width > 0 else _FEWEST_DECIMALS
    decimals = min(max(wanted, _FEWEST_DECIMALS), _MOST_DECIMALS)
    # A limit just above 0 that is written as 0.0 would contradict the verdict beside it.
    while decimals < _MOST_DECIMALS and _hides_a_sign(estimate, unit * _power(decimals)):
        decimals += 1
    return decimals


def _hides_a_sign(estimate: Estimate, scale: int) -> bool:
    low, high = -_outward(-estimate.low, scale), _outward(estimate.high, scale)
    return (estimate.low != 0 and low == 0) or (estimate.high != 0 and high == 0)


def _power(decimals: int) -> int:
    return int(10**decimals)


def _outward(value: float, scale: int) -> float:
    """Return the value rounded up to a whole part of 1 / scale."""
    # Less than rounding leaves behind is no further step.
    return ceil(value * scale - 1e-9) / scale if isfinite(value) else value
