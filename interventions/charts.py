"""The plot of a funnel of messages. Pure."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from common.lazy import LazyModule
from common.plots import ACCENT, INK, LINE, draw

# Loading takes a second, and only a page with a plot needs it.
alt: Any = LazyModule("altair")
_BAR = 34


@dataclass(frozen=True)
class Bar:
    """A stage of a funnel: its name, its number of learners, and their share of all in words."""

    name: str
    number: int
    words: str


@lru_cache(maxsize=64)
def funnel_chart(bars: tuple[Bar, ...], *, width: int) -> str:
    """Return a bar for each stage, before a bar as long as the first one, as SVG text."""
    most = max(bars[0].number, 1)
    rows = [
        {"name": bar.name, "number": bar.number, "all": most, "text": f"{bar.number:,} {bar.words}"}
        for bar in bars
    ]
    names = [bar.name for bar in bars]
    axis = alt.Axis(title=None, domain=False, ticks=False, labelPadding=10)
    base = alt.Chart(alt.InlineData(values=rows)).encode(
        y=alt.Y("name:N", sort=names, axis=axis, scale=alt.Scale(paddingInner=0.25))
    )
    scale = alt.Scale(domain=[0, most], nice=False)
    shown = alt.layer(
        base.mark_bar(color=LINE, cornerRadius=3).encode(x=alt.X("all:Q", axis=None, scale=scale)),
        base.mark_bar(color=ACCENT, cornerRadius=3, fillOpacity=0.45).encode(
            x=alt.X("number:Q", axis=None, scale=scale)
        ),
        base.mark_text(align="left", dx=8, color=INK, fontSize=13).encode(
            x=alt.XDatum(0, axis=None, scale=scale), text="text:N"
        ),
    )
    return draw(shown.properties(width=width, height=_BAR * len(bars)))
