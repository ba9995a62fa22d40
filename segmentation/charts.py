"""Plots of the sizes of segments. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Any

from common.lazy import LazyModule
from common.plots import ACCENT, QUIET, draw

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


@dataclass(frozen=True)
class DaySizes:
    """The members at the end of a day, and the entries and leavings of the day."""

    day: date
    members: int
    entered: int
    left: int


@lru_cache(maxsize=64)
def sizes_chart(days: tuple[DaySizes, ...], *, width: int) -> str:
    """Return members by day, and below them entries (up) and leavings (down), as SVG text."""
    data = alt.InlineData(values=_rows(days))
    x = alt.X("day:T", axis=alt.Axis(title=None, format="%-d %b", tickCount=4, grid=False))
    whole = alt.Axis(title=None, format=",d", tickMinStep=1, tickCount=4)
    members = alt.Chart(data).mark_area(
        line={"color": ACCENT, "strokeWidth": 2}, color=ACCENT, fillOpacity=0.15
    )
    moves = alt.Chart(data).mark_bar(size=max(width // (2 * len(days)), 1))
    shown = alt.vconcat(
        members.encode(
            x=x, y=alt.Y("members:Q", axis=whole, scale=alt.Scale(domainMin=0))
        ).properties(width=width, height=120, title=_title("Members at the end of each day")),
        alt.layer(
            moves.encode(x=x, y=alt.Y("entered:Q", axis=whole), color=alt.value(ACCENT)),
            moves.encode(x=x, y=alt.Y("gone:Q", axis=whole), color=alt.value(QUIET)),
        ).properties(width=width, height=90, title=_title("Entered (up) and left (down) per day")),
        spacing=24,
    )
    return draw(shown)


def _rows(days: Sequence[DaySizes]) -> list[dict[str, Any]]:
    return [
        {
            "day": each.day.isoformat(),
            "members": each.members,
            "entered": each.entered,
            "gone": -each.left,
        }
        for each in days
    ]


def _title(text: str) -> Any:
    return alt.TitleParams(text, anchor="start", color=QUIET, fontSize=13, fontWeight="normal")
