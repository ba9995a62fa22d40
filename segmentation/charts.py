"""Plots of the sizes of segments. Pure."""

from functools import lru_cache
from typing import Any

from common.lazy import LazyModule
from common.plots import ACCENT, draw

# Loading takes a second, and only a page with a plot needs it.
alt: Any = LazyModule("altair")
WIDTH, HEIGHT = 160, 36


@lru_cache(maxsize=256)
def sparkline(numbers: tuple[int, ...]) -> str:
    """Return the numbers as a small line from zero up, without axes, as SVG text."""
    rows = [{"place": place, "number": number} for place, number in enumerate(numbers)]
    line = alt.Chart(alt.InlineData(values=rows)).mark_area(
        line={"color": ACCENT, "strokeWidth": 2}, color=ACCENT, fillOpacity=0.15
    )
    scale = alt.Scale(domain=[0, max(*numbers, 1)])
    shown = line.encode(x=alt.X("place:Q", axis=None), y=alt.Y("number:Q", axis=None, scale=scale))
    return draw(shown.properties(width=WIDTH, height=HEIGHT))
