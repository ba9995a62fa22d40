"""The units in which the numbers of outcomes are written."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Unit:
    """How the levels and differences of an outcome are written.

    Readers see a number times `factor`. `sign` follows a level and `points` follows a difference.
    `fewer` is the word for a negative difference. `decimals` is the number of decimals without an
    interval. `axis` is the name on plots, and outcomes with a unit that `is_shared` have one axis.
    """

    factor: int
    sign: str
    points: str
    fewer: str
    decimals: int
    axis: str
    is_shared: bool


# Shares of learners. Their differences are in points: a difference in percent would be ambiguous.
PERCENT = Unit(100, "%", " points", "fewer", 1, axis="percentage points", is_shared=True)
PLAIN = Unit(1, "", "", "less", 2, axis="its own unit", is_shared=False)
DAYS = Unit(1, " days", " days", "fewer", 1, axis="days", is_shared=False)
