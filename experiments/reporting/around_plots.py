"""The plot of an outcome before and after: the level of each group with its interval. Pure."""

from functools import lru_cache
from typing import Any

from common.lazy import LazyModule
from common.plots import ACCENT, GROUND, QUIET, draw
from experiments.reporting.around import Around, Change
from experiments.reporting.around_kinds import kind_of

alt: Any = LazyModule("altair")

WIDTH, HEIGHT = 240, 150
# The group, when, and the level with its limits.
Point = tuple[str, str, float, float, float]
WITHOUT, WITH = "without a message", "with messages"
# Dashes tell the groups apart without color.
_COLORS = {WITHOUT: QUIET, WITH: ACCENT}
_DASHES = {WITHOUT: [4, 3], WITH: [1, 0]}


def around_svg(found: Around) -> str:
    """Return the levels before and after, with a line per group, as SVG; empty if all is hidden."""
    points = [
        point
        for name, change in ((WITHOUT, found.without), (WITH, found.with_messages))
        if change is not None
        for point in _points(name, change)
    ]
    unit = found.metric.family.unit
    return (
        _drawing(tuple(points), "% of learners" if unit.sign else "per learner") if points else ""
    )


def _points(name: str, change: Change) -> list[Point]:
    factor = change.metric.family.unit.factor
    points = []
    for when, level, spread in (
        ("before", change.before, change.spread_before),
        ("after", change.after, change.spread_after),
    ):
        low, high = kind_of(change.metric).limits(change.n, level, spread)
        points.append((name, when, factor * level, factor * low, factor * high))
    return points


@lru_cache(maxsize=64)
def _drawing(points: tuple[Point, ...], axis: str) -> str:
    names = ("group", "when", "value", "low", "high")
    rows = [dict(zip(names, point, strict=True)) for point in points]
    base = alt.Chart(alt.InlineData(values=rows))
    x = alt.X(
        "when:O",
        sort=["before", "after"],
        title=None,
        axis=alt.Axis(labelAngle=0),
        scale=alt.Scale(paddingInner=0.5),
    )
    groups = list(dict.fromkeys(point[0] for point in points))
    beside = alt.XOffset("group:N", sort=groups)
    color = alt.Color(
        "group:N",
        scale=alt.Scale(domain=groups, range=[_COLORS[each] for each in groups]),
        legend=alt.Legend(title=None, orient="top", symbolType="stroke", columnPadding=20),
    )
    dash = alt.StrokeDash(
        "group:N",
        scale=alt.Scale(domain=groups, range=[_DASHES[each] for each in groups]),
        legend=None,
    )
    y = alt.Y("value:Q", title=axis, scale=alt.Scale(domainMin=0), axis=alt.Axis(tickCount=5))
    return draw(
        alt.layer(
            base.mark_line(strokeWidth=2).encode(
                x=x, y=y, xOffset=beside, color=color, strokeDash=dash
            ),
            base.mark_rule(strokeWidth=2).encode(
                x=x, y=alt.Y("low:Q"), y2="high:Q", xOffset=beside, color=color
            ),
            base.mark_point(size=60, opacity=1, strokeWidth=2, fill=GROUND).encode(
                x=x, y=y, xOffset=beside, color=color
            ),
        ).properties(width=WIDTH, height=HEIGHT)
    )
