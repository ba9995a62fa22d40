"""The interval plot of a report: an Altair spec, drawn to SVG on the server. Pure.

Its colors are the page's own variables, so one drawing is right in light and in dark.
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

# Takes a second to load, and only a page with a plot needs it.
alt: Any = LazyModule("altair")

# Colors that the drawing library accepts and nobody would choose, each replaced by a variable of
# the page's style sheet: the library itself knows no variables.
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
    """One line of the plot, in the panel's unit; None where the number is not known."""

    # The metric, and its arm where several are compared with the control.
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
    """Return a panel of all rates, in percentage points, and one for each mean, in its own unit.

    None where no interval is known: an empty plot would look like a finding.
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
    """Yield the rows that share an axis: all in a unit that is shared, else a metric's alone."""
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
    """Return the plot as SVG text, its labels escaped. The first drawing takes about a second."""
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
    # The label grows upwards only, but the line stays in the middle of its row.
    height = _ROW_HEIGHT + 2 * _further_lines(panel, width)
    return layers.properties(width=width, height=alt.Step(height))


def _base(panel: Panel, width: int) -> Any:
    """Return the data of the lines and their places, to be drawn upon."""
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
    # Below each text its outline in the page's color: the line of zero must not strike it out.
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
    """Return the height of the lines that a label takes beyond its first."""
    return (
        _LINE_HEIGHT * (max(len(each.label) for each in panel.intervals) - 1) if width < WIDE else 0
    )


def _domain(intervals: Sequence[Interval]) -> tuple[float, float]:
    """Return limits that hold zero and every interval, with room for the numbers at the ends."""
    ends = [end for each in intervals for end in (each.low, each.high, each.value, 0.0)]
    known = [end for end in ends if end is not None]
    low, high = min(known), max(known)
    room = (high - low) * 0.06 or 1.0
    return low - room, high + room


def _wrapped(title: str, width: int) -> list[str]:
    """Return the title on one line, or on two where the plot is narrow."""
    first, comma, rest = title.rpartition(", ")
    return [first + comma.rstrip(), rest] if width < WIDE else [title]


def _styled(chart: Any) -> Any:
    styled = chart.configure(background="transparent", font=_FONT).configure_view(stroke=None)
    return styled.configure_axis(
        labelColor=_QUIET, titleColor=_QUIET, titleFontWeight="normal", titleFontSize=12,
        labelFontSize=12, gridColor=_LINE, domainColor=_LINE, tickColor=_LINE, titlePadding=10,
    )  # fmt: skip
