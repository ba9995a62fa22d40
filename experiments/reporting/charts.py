"""The interval plot of a report: an Altair spec, drawn as SVG on the server. Pure.

Its colors are the CSS variables of the page, so one drawing fits light and dark mode.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import isfinite
from typing import Any

import vl_convert

from common.lazy import LazyModule
from experiments.reporting.figures import level_text
from experiments.reporting.report import Report, Row
from experiments.reporting.verdict import Finding
from experiments.stats.units import Unit

# Loading takes a second, and only a page with a plot needs it.
alt: Any = LazyModule("altair")

# The drawing library does not accept CSS variables. It gets these unusual colors, and each is
# replaced by a variable of the page's style sheet.
_INK, _QUIET, _LINE, _ACCENT, _GROUND = "#010203", "#010204", "#010205", "#010206", "#010207"
_VARIABLES = {
    _INK: "var(--ink)",
    _QUIET: "var(--quiet)",
    _LINE: "var(--line)",
    _ACCENT: "var(--accent)",
    _GROUND: "var(--ground)",
}
_FONT = "system-ui, sans-serif"
_ROW_HEIGHT = 68
_LINE_HEIGHT = 16
WIDE, NARROW = 880, 300


@dataclass(frozen=True)
class Interval:
    """One line of the plot, in the panel's unit. A number that is not known is None."""

    # The metric, and also its arm if several are compared with the control.
    label: tuple[str, ...]
    value: float | None
    low: float | None
    high: float | None
    text: str
    shown: bool


@dataclass(frozen=True)
class Panel:
    """Lines that share an axis."""

    title: str
    intervals: tuple[Interval, ...]


def report_panels(report: Report) -> tuple[Panel, ...]:
    """Return one panel for all rates, in percentage points, and one per mean, in its own unit.

    Return no panel if no interval is known: an empty plot would look like a result.
    """
    if not any(row.comparison.difference.has_interval for row in report.rows):
        return ()
    several = len(report.arms) > 2
    level = level_text(report.facts.level)
    panels = [
        Panel(
            f"Difference from the control in {unit.axis}, {level} interval",
            tuple(_interval(row, several) for row in rows),
        )
        for unit, rows in _by_axis(report)
    ]
    return tuple(panels)


def _by_axis(report: Report) -> Iterator[tuple[Unit, list[Row]]]:
    """Yield the rows of each axis: all rows with a shared unit, or the rows of one metric."""
    shared: dict[Unit, list[Row]] = {}
    alone = []
    for result in report.results:
        unit = result.metric.family.unit
        if unit.is_shared:
            shared.setdefault(unit, []).extend(result.rows)
        else:
            alone.append((unit, result.rows))
    yield from shared.items()
    yield from alone


@lru_cache(maxsize=64)
def interval_svg(panels: tuple[Panel, ...], *, width: int) -> str:
    """Return the plot as SVG text with escaped labels. The first drawing takes about a second."""
    chart = alt.vconcat(*(_panel_chart(panel, width) for panel in panels), spacing=28)
    svg: str = vl_convert.vegalite_to_svg(_styled(chart).to_dict())
    for color, variable in _VARIABLES.items():
        svg = svg.replace(color, variable)
    return svg


def _interval(row: Row, several: bool) -> Interval:
    difference = row.comparison.difference
    scale = row.comparison.unit.factor
    return Interval(
        label=(row.metric.name, row.arm.name) if several else (row.metric.name,),
        value=_known(difference.value, scale),
        low=_known(difference.low, scale),
        high=_known(difference.high, scale),
        text=row.figures.change(row.figures.apart(row.comparison))
        if difference.has_interval
        else "not known yet",
        shown=row.verdict.finding in (Finding.HIGHER, Finding.LOWER),
    )


def _known(value: float, scale: int) -> float | None:
    return value * scale if isfinite(value) else None


def _panel_chart(panel: Panel, width: int) -> Any:
    base = _base(panel, width)
    color = alt.condition("datum.shown", alt.value(_ACCENT), alt.value(_INK))
    fill = alt.condition("datum.shown", alt.value(_ACCENT), alt.value(_GROUND))
    zero = alt.Chart(alt.InlineData(values=[{"zero": 0}])).mark_rule(color=_INK)
    layers = alt.layer(
        zero.encode(x="zero:Q"),
        base.mark_rule(strokeWidth=3).encode(x="low:Q", x2="high:Q", color=color),
        base.mark_point(size=110, opacity=1, strokeWidth=2).encode(stroke=color, fill=fill),
        *_texts(base, panel, width),
    )
    # A label grows only upwards, but the line stays in the middle of its row. So the row needs
    # twice the height of the label.
    height = _ROW_HEIGHT + 2 * _further_lines(panel, width)
    return layers.properties(width=width, height=alt.Step(height))


def _base(panel: Panel, width: int) -> Any:
    """Return the base chart with the data and the position of each line."""
    separator = ": " if width >= WIDE else "\n"
    rows = [
        {**vars(each), "label": separator.join(each.label), "at": each.value or 0.0, "place": place}
        for place, each in enumerate(panel.intervals)
    ]
    scale = alt.Scale(domain=list(_domain(panel.intervals)), nice=True)
    axis = alt.Axis(title=_wrapped(panel.title, width), tickCount=5 if width < WIDE else 8)
    return alt.Chart(alt.InlineData(values=rows)).encode(
        y=alt.Y("place:O", axis=None), x=alt.X("value:Q", scale=scale, axis=axis)
    )


def _texts(base: Any, panel: Panel, width: int) -> Iterator[Any]:
    """Yield each line's label above it, from the left edge, and its number below its point."""
    # Each text has an outline in the page's color, so that the zero line does not cross it out.
    for ink in ({"stroke": _GROUND, "strokeWidth": 5}, {"color": _INK}):
        label = base.mark_text(
            align="left",
            baseline="bottom",
            dy=-11 - _further_lines(panel, width),
            fontSize=13,
            lineBreak="\n",
            limit=width,
            **ink,
        )
        yield label.encode(x=alt.value(0), text="label:N")
        number = base.mark_text(dy=19, fontSize=12, **ink)
        yield number.encode(x="at:Q", text="text:N")


def _further_lines(panel: Panel, width: int) -> int:
    """Return the height of a label without its first line."""
    return (
        _LINE_HEIGHT * (max(len(each.label) for each in panel.intervals) - 1) if width < WIDE else 0
    )


def _domain(intervals: Sequence[Interval]) -> tuple[float, float]:
    """Return axis limits that include zero and every interval, with space for the numbers."""
    ends = [end for each in intervals for end in (each.low, each.high, each.value, 0.0)]
    known = [end for end in ends if end is not None]
    low, high = min(known), max(known)
    room = (high - low) * 0.06 or 1.0
    return low - room, high + room


def _wrapped(title: str, width: int) -> list[str]:
    """Return the title as one line, or as two lines in a narrow plot."""
    first, comma, rest = title.rpartition(", ")
    return [first + comma.rstrip(), rest] if width < WIDE else [title]


def _styled(chart: Any) -> Any:
    # The page names the whole plot and has the numbers as a table. Vega would present each group of
    # marks as a picture of its own, even an empty one without a name.
    styled = chart.configure(background="transparent", font=_FONT).configure_mark(aria=False)
    styled = styled.configure_view(stroke=None)
    return styled.configure_axis(
        labelColor=_QUIET, titleColor=_QUIET, titleFontWeight="normal", titleFontSize=12,
        labelFontSize=12, gridColor=_LINE, domainColor=_LINE, tickColor=_LINE, titlePadding=10,
    )  # fmt: skip
