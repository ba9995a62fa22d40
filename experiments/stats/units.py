"""What an outcome's numbers are written in."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Unit:
    """How the levels and differences of an outcome are written.

    A number times `factor` is what readers see; `sign` follows a level and `points` a difference.
    `fewer` is the word for a fall, `decimals` how many there are where no interval tells. On plots
    `axis` names it, and outcomes whose unit `is_shared` have one axis.
    """

    factor: int
    sign: str
    points: str
    fewer: str
    decimals: int
    axis: str
    is_shared: bool


# Shares of learners. Their differences are points: of a percentage, percent would be ambiguous.
PERCENT = Unit(100, "%", " points", "fewer", 1, axis="percentage points", is_shared=True)
PLAIN = Unit(1, "", "", "less", 2, axis="its own unit", is_shared=False)
