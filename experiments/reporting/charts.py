"""The interval plots of a report: Altair specs, drawn as SVG on the server. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import isfinite
from typing import Any

from common.lazy import LazyModule
from common.plots import BAD, GOOD, GROUND, INK, draw
from experiments.reporting.answer import Judgement, is_withheld, judge
from experiments.reporting.report import Report, Row
from experiments.stats.units import Unit

# Loading takes a second, and only a page with a plot needs it.
alt: Any = LazyModule("altair")

_COLORS = {Judgement.BETTER: GOOD, Judgement.WORSE: BAD}
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
    return [PlottedRow(row, _plot(report, row, rows)) for rows in _by_axis(report) for row in rows]


@lru_cache(maxsize=256)
def plot_svg(plot: Plot) -> str:
    """Return the plot as SVG text. The first drawing of a process takes about a second."""
    return draw(_chart(plot))


def _by_axis(report: Report) -> Iterator[list[Row]]:
    """Yield the rows of each axis: all rows with a shared unit, or the rows of one metric."""
    groups: dict[Unit | str, list[Row]] = {}
    for result in report.results:
        unit = result.metric.family.unit
        groups.setdefault(unit if unit.is_shared else result.metric.key, []).extend(result.rows)
    yield from groups.values()


def _plot(report: Report, row: Row, on_axis: Sequence[Row]) -> Plot | None:
    if not row.comparison.difference.has_interval or is_withheld(report, row):
        return None
    unit = row.comparison.unit
    words = unit.axis if unit.points else row.metric.words
    return Plot(_interval(report, row), _domain(on_axis), words)


def _interval(report: Report, row: Row) -> Interval:
    scale = row.comparison.unit.factor
    return Interval(row.lift * scale, row.low * scale, row.high * scale, judge(report, row))


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
    color = _COLORS.get(found.judgement, INK)
    values = {"value": found.value, "low": found.low, "high": found.high}
    base = alt.Chart(alt.InlineData(values=[values]))
    x = alt.X("value:Q", scale=alt.Scale(domain=list(plot.domain), nice=False), axis=_axis())
    zero = alt.Chart(alt.InlineData(values=[{"zero": 0}])).mark_rule(color=INK)
    # A point is filled only if a difference was found, so that color is not the only sign.
    fill = color if found.judgement in _COLORS else GROUND
    return alt.layer(
        zero.encode(x="zero:Q"),
        base.mark_rule(strokeWidth=3, color=color).encode(x=alt.X("low:Q"), x2="high:Q"),
        base.mark_point(size=110, opacity=1, strokeWidth=2, stroke=color, fill=fill).encode(x=x),
    ).properties(width=_WIDTH, height=_HEIGHT)


def _axis() -> Any:
    signed = "datum.value == 0 ? '0' : format(datum.value, '+~')"
    return alt.Axis(title=None, tickCount=5, labelExpr=signed)
