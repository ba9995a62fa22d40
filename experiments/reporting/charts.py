"""The interval plots of a report: Altair specs, drawn as SVG on the server. Pure.

Their colors are the CSS variables of the page, so one drawing fits light and dark mode.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import isfinite
from typing import Any

import vl_convert

from common.lazy import LazyModule
from experiments.reporting.answer import Judgement, judge
from experiments.reporting.report import Report, Row
from experiments.stats.units import Unit

# Loading takes a second, and only a page with a plot needs it.
alt: Any = LazyModule("altair")

# The drawing library does not accept CSS variables. It gets these unusual colors, and each is
# replaced by a variable of the page's style sheet.
_INK, _QUIET, _LINE, _GROUND = "#010203", "#010204", "#010205", "#010207"
_GOOD, _BAD = "#010208", "#010209"
_VARIABLES = {
    _INK: "var(--ink)",
    _QUIET: "var(--quiet)",
    _LINE: "var(--line)",
    _GROUND: "var(--ground)",
    _GOOD: "var(--good)",
    _BAD: "var(--bad)",
}
_COLORS = {Judgement.BETTER: _GOOD, Judgement.WORSE: _BAD}
_FONT = "system-ui, sans-serif"
# One width fits beside the text of a wide page and below it on a narrow one.
_WIDTH, _HEIGHT = 330, 34


@dataclass(frozen=True)
class Interval:
    """A difference with its interval, in the unit that readers see."""

    value: float
    low: float
    high: float
    judgement: Judgement


@dataclass(frozen=True)
class Plot:
    """One interval on an axis that other rows of the page may share."""

    interval: Interval
    # The axis from its lower to its upper end, and the words for its unit.
    domain: tuple[float, float]
    axis: str


@dataclass(frozen=True)
class PlottedRow:
    """A row of a report with its plot, or None if no interval is known."""

    row: Row
    plot: Plot | None


def plotted_rows(report: Report) -> list[PlottedRow]:
    """Return all rows with their plots. Rows on one axis follow each other, the primary first.

    All rates share an axis in percentage points. A mean has an axis in its own unit.
    """
    return [PlottedRow(row, _plot(row, rows)) for rows in _by_axis(report) for row in rows]


@lru_cache(maxsize=256)
def plot_svg(plot: Plot) -> str:
    """Return the plot as SVG text. The first drawing of a process takes about a second."""
    svg: str = vl_convert.vegalite_to_svg(_styled(_chart(plot)).to_dict())
    for color, variable in _VARIABLES.items():
        svg = svg.replace(color, variable)
    return svg


def _by_axis(report: Report) -> Iterator[list[Row]]:
    """Yield the rows of each axis: all rows with a shared unit, or the rows of one metric."""
    groups: dict[Unit | str, list[Row]] = {}
    for result in report.results:
        unit = result.metric.family.unit
        groups.setdefault(unit if unit.is_shared else result.metric.key, []).extend(result.rows)
    yield from groups.values()


def _plot(row: Row, on_axis: Sequence[Row]) -> Plot | None:
    if not row.comparison.difference.has_interval:
        return None
    unit = row.comparison.unit
    words = unit.axis if unit.is_shared else row.metric.words
    return Plot(_interval(row), _domain(on_axis), words)


def _interval(row: Row) -> Interval:
    scale = row.comparison.unit.factor
    return Interval(row.lift * scale, row.low * scale, row.high * scale, judge(row))


def _domain(rows: Sequence[Row]) -> tuple[float, float]:
    """Return axis limits that include zero and every interval."""
    ends = [
        end * row.comparison.unit.factor for row in rows for end in (row.low, row.high, row.lift)
    ]
    known = [0.0, *(end for end in ends if isfinite(end))]
    room = (max(known) - min(known)) * 0.06 or 1.0
    return min(known) - room, max(known) + room


def _chart(plot: Plot) -> Any:
    found = plot.interval
    color = _COLORS.get(found.judgement, _INK)
    values = {"value": found.value, "low": found.low, "high": found.high}
    base = alt.Chart(alt.InlineData(values=[values]))
    x = alt.X("value:Q", scale=alt.Scale(domain=list(plot.domain), nice=False), axis=_axis())
    zero = alt.Chart(alt.InlineData(values=[{"zero": 0}])).mark_rule(color=_INK)
    # A point is filled only if a difference was found, so that color is not the only sign.
    fill = color if found.judgement in _COLORS else _GROUND
    return alt.layer(
        zero.encode(x="zero:Q"),
        base.mark_rule(strokeWidth=3, color=color).encode(x=alt.X("low:Q"), x2="high:Q"),
        base.mark_point(size=110, opacity=1, strokeWidth=2, stroke=color, fill=fill).encode(x=x),
    ).properties(width=_WIDTH, height=_HEIGHT)


def _axis() -> Any:
    signed = "datum.value == 0 ? '0' : format(datum.value, '+~')"
    return alt.Axis(title=None, tickCount=5, labelExpr=signed)


def _styled(chart: Any) -> Any:
    # The page names the plot and has the numbers as text. Vega would present each group of marks as
    # a picture of its own, even an empty one without a name.
    styled = chart.configure(background="transparent", font=_FONT).configure_mark(aria=False)
    styled = styled.configure_view(stroke=None)
    return styled.configure_axis(
        labelColor=_QUIET, labelFontSize=12, gridColor=_LINE, domainColor=_LINE, tickColor=_LINE
    )
