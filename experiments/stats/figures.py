"""How numbers are written for readers: as many digits as the interval supports, nan as a dash."""

from dataclasses import dataclass
from math import ceil, floor, isfinite, log10

from experiments.stats.estimate import Estimate

MISSING = "-"
_MOST_DECIMALS = 6
_FEWEST_DECIMALS = 1


@dataclass(frozen=True)
class Figures:
    """Writes the numbers of one comparison: rates as percent and points, means in their unit."""

    is_rate: bool
    decimals: int = _FEWEST_DECIMALS

    @classmethod
    def of(cls, estimate: Estimate, *, is_rate: bool) -> "Figures":
        """Return a writer with digits for the interval: two of its width, no limit as 0."""
        scale = 100 if is_rate else 1
        if not estimate.has_interval:
            return cls(is_rate, 1 if is_rate else 2)
        return cls(is_rate, _decimals(estimate.low * scale, estimate.high * scale))

    def level(self, value: float) -> str:
        """Return a rate or a mean: `45.2%` or `1.42`."""
        if not isfinite(value):
            return MISSING
        return f"{value:.{self.decimals}%}" if self.is_rate else f"{value:.{self.decimals}f}"

    def change(self, value: float) -> str:
        """Return a difference with its sign: `+5.1` or `-0.03`."""
        return self._scaled(value, sign="+")

    def size(self, value: float) -> str:
        """Return how large a difference is, without sign and with its unit: `5.1 points`."""
        written = self._scaled(abs(value))
        return f"{written} points" if self.is_rate else written

    def bound(self, value: float) -> str:
        """Return a limit without sign and with its unit, rounded away from 0.

        Rounded towards 0, "more than" would rule out what the interval allows.
        """
        scale = 10**self.decimals * (100 if self.is_rate else 1)
        # Less than rounding leaves behind is no further step.
        outward = ceil(abs(value) * scale - 1e-9) / scale if isfinite(value) else value
        return self.size(outward)

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


def _decimals(low: float, high: float) -> int:
    width = high - low
    wanted = 1 - floor(log10(width)) if width > 0 else _FEWEST_DECIMALS
    decimals = min(max(wanted, _FEWEST_DECIMALS), _MOST_DECIMALS)
    # A limit just above 0 that is written as 0.0 would contradict the verdict beside it.
    while decimals < _MOST_DECIMALS and any(
        limit and not round(limit, decimals) for limit in (low, high)
    ):
        decimals += 1
    return decimals
