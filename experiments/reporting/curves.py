"""The curves of a report: the difference over time, and the time to an event. Pure."""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from math import isfinite
from typing import Any

from common.dates import iso_day_text
from common.lazy import LazyModule
from common.plots import ACCENT, INK, QUIET, draw
from experiments.reporting.looking import Moment
from experiments.reporting.report import MetricResult, Report
from experiments.stats.comparison import Followed
from experiments.stats.survival import kaplan_meier

alt: Any = LazyModule("altair")

# Each curve is drawn for wide and for narrow windows.
WIDE, NARROW = 640, 300
_HEIGHT = 220
_LABEL_WIDTH = 80
# Dashes tell the arms apart without color.
_DASHES = ([1, 0], [6, 3], [2, 2], [8, 2, 2, 2])

# A point of a curve: the series and the place, then the value with its limits.
Point = tuple[str, str, float, float | None, float | None]
# A step of a curve: the series, the days, and the share.
Step = tuple[str, float, float]


def over_time_svg(moments: Sequence[Moment], *, factor: int, width: int) -> str:
    """Return the difference over time with the interval that holds on all days, as SVG.

    Empty with fewer than two days that have a value, and without any interval. Days are texts, so
    that no time zone of a process moves them.
    """
    if not any(each.difference.has_interval for each in moments):
        return ""
    points = tuple(
        (each.arm.name, iso_day_text(each.day), *_limits(each, factor))
        for each in moments
        if isfinite(each.difference.value)
    )
    return _over_time(points, width) if len({point[1] for point in points}) > 1 else ""


def event_curves(result: MetricResult, report: Report) -> tuple[Step, ...]:
    """Return the share of learners with the event by day and arm; empty for other outcomes.

    It is one minus the Kaplan-Meier curve. It is empty if nobody has the event: a flat line has no
    scale, and says less than the table.
    """
    steps: list[Step] = []
    for arm in report.arms:
        sums = result.observed[arm.key].sums
        if not isinstance(sums, Followed) or not sums.times.n or result.hides(arm):
            continue
        found = [(each.time, 1 - each.survival) for each in kaplan_meier(sums.times)]
        last = sums.times.counted[-1][0]
        ends = [(0.0, 0.0), *found, (last, found[-1][1] if found else 0.0)]
        steps += [(arm.name, time, share) for time, share in ends]
    return tuple(steps) if any(share for _, _, share in steps) else ()


def curves_text(result: MetricResult, report: Report) -> str:
    """Return how the curves of `event_curves` were drawn, and how sure they are."""
    text = "The share of learners who have done it by then (Kaplan-Meier)."
    found = [result.observed[arm.key].sums for arm in report.arms]
    if any(each.is_censored for each in found if isinstance(each, Followed)):
        text = f"{text} Learners who were not followed so long count for as long as they were."
    if report.facts.draws_sections:
        return (
            f"{text} Whole sections were drawn, so the curves are less sure than their numbers of "
            "learners suggest. Whether the arms differ is said by the comparison by section above, "
            "not by the distance of the curves."
        )
    return f"{text} No band shows how sure the curves are: the comparison above says it."


@lru_cache(maxsize=64)
def event_curves_svg(steps: tuple[Step, ...], *, width: int) -> str:
    """Return the curves of `event_curves` as SVG."""
    return _steps_svg(steps, width, across="days after the draw", up="% of learners")


def _steps_svg(steps: Sequence[Step], width: int, *, across: str, up: str) -> str:
    if not steps:
        return ""
    rows = [{"arm": arm, "at": at, "share": share * 100} for arm, at, share in steps]
    lines = alt.Chart(alt.InlineData(values=rows)).mark_line(interpolate="step-after", color=INK)
    return draw(
        lines.encode(
            x=alt.X("at:Q", title=across, axis=alt.Axis(tickCount=width // _LABEL_WIDTH)),
            y=alt.Y("share:Q", title=up, scale=alt.Scale(domainMin=0)),
            strokeDash=_dashes(step[0] for step in steps),
        ).properties(width=width, height=_HEIGHT)
    )


def share_steps(report: Report) -> tuple[Step, ...]:
    """Return the share of each arm by the number of learners drawn; empty unless they changed."""
    if report.adaptive is None or len(report.adaptive.periods) < 2:
        return ()
    periods, steps = report.adaptive.periods, []
    for arm in report.arms:
        if arm.weight > 0:
            found = [(arm.name, float(each.position), each.shares[arm.key]) for each in periods]
            steps += [*found, (arm.name, float(report.assigned), found[-1][2])]
    return tuple(steps)


@lru_cache(maxsize=64)
def shares_svg(steps: tuple[Step, ...], *, width: int) -> str:
    """Return the steps of `share_steps` as SVG; empty without any."""
    return _steps_svg(steps, width, across="learners drawn", up="% of the next learners")


def _limits(moment: Moment, factor: int) -> tuple[float, float | None, float | None]:
    """Return the value and its limits; None without an interval, so that a line has a gap."""
    found = moment.difference
    if not found.has_interval:
        return found.value * factor, None, None
    return found.value * factor, found.low * factor, found.high * factor


@lru_cache(maxsize=64)
def _over_time(points: tuple[Point, ...], width: int) -> str:
    names = ("arm", "day", "value", "low", "high")
    rows = [dict(zip(names, point, strict=True)) for point in points]
    base = alt.Chart(alt.InlineData(values=rows))
    days = list(dict.fromkeys(point[1] for point in points))
    x = alt.X("day:O", sort=days, title=None, axis=_day_axis(days, width))
    arms = _dashes(point[0] for point in points)
    zero = alt.Chart(alt.InlineData(values=[{"zero": 0}])).mark_rule(color=INK)
    # One area per arm would hide the others.
    band = base.mark_line(color=QUIET, strokeWidth=1)
    return draw(
        alt.layer(
            zero.encode(y="zero:Q"),
            band.encode(x=x, y=alt.Y("low:Q"), strokeDash=arms),
            band.encode(x=x, y=alt.Y("high:Q"), strokeDash=arms),
            base.mark_line(color=ACCENT, strokeWidth=2.5).encode(
                x=x, y=alt.Y("value:Q", title=None), strokeDash=arms
            ),
        ).properties(width=width, height=_HEIGHT)
    )


def _day_axis(days: Sequence[str], width: int) -> Any:
    step = -(-len(days) // (width // _LABEL_WIDTH))
    return alt.Axis(values=list(days)[::step], labelAngle=0, labelOverlap=True)


def _dashes(arms: Iterable[str]) -> Any:
    found = list(dict.fromkeys(arms))
    scale = alt.Scale(domain=found, range=[_DASHES[i % len(_DASHES)] for i in range(len(found))])
    legend = alt.Legend(title=None, orient="top") if len(found) > 1 else None
    return alt.StrokeDash("arm:N", scale=scale, legend=legend)
