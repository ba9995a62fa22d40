"""The plots of the check page and of replays: Altair specs, drawn as SVG on the server. Pure."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from common.lazy import LazyModule
from common.plots import ACCENT, INK, QUIET, draw

# Loading takes a second, and only a page with a plot needs it.
alt: Any = LazyModule("altair")

_HEIGHT = 220
# More points would not be seen.
_MOST_POINTS = 100


@lru_cache(maxsize=64)
def power_svg(points: tuple[tuple[int, float], ...], *, planned: int, width: int) -> str:
    """Return the power (0..1) by the number of learners in all arms, with the planned number."""
    rows = [{"learners": learners, "power": power * 100} for learners, power in points]
    base = alt.Chart(alt.InlineData(values=rows))
    x = alt.X("learners:Q", title="learners in all arms", axis=alt.Axis(tickCount=width // 90))
    y = alt.Y("power:Q", title="% of such experiments", scale=alt.Scale(domain=[0, 100]))
    there = alt.Chart(alt.InlineData(values=[{"learners": planned}]))
    usual = alt.Chart(alt.InlineData(values=[{"power": 80}]))
    layers = [
        usual.mark_rule(color=QUIET, strokeDash=[2, 2]).encode(y="power:Q"),
        base.mark_line(color=ACCENT, strokeWidth=2.5).encode(x=x, y=y),
    ]
    if planned:
        layers.insert(0, there.mark_rule(color=INK, strokeDash=[6, 3]).encode(x="learners:Q"))
    return draw(alt.layer(*layers).properties(width=width, height=_HEIGHT))


def p_values_svg(by_course: Mapping[str, Sequence[float]], *, width: int = 640) -> str:
    """Return the cumulative shares of p-values, a thin line per course and a thick one for all.

    Without an effect, each line follows the diagonal.
    """
    every = [p_value for found in by_course.values() for p_value in found]
    thin = [row for course, found in by_course.items() for row in _cumulative(found, course)]
    return draw(
        alt.layer(
            _line([{"p": at, "share": at} for at in (0.0, 1.0)], color=INK, strokeDash=[6, 3]),
            _line(thin, color=QUIET, strokeWidth=0.7).encode(detail="course:N"),
            _line(_cumulative(every, "all"), color=ACCENT, strokeWidth=2.5),
        ).properties(width=width, height=width)
    )


def _line(rows: list[dict[str, Any]], **style: Any) -> Any:
    scale = alt.Scale(domain=[0, 1])
    lines = alt.Chart(alt.InlineData(values=rows)).mark_line(**style)
    return lines.encode(
        x=alt.X("p:Q", title="p-value", scale=scale),
        y=alt.Y("share:Q", title="share of replays at or below it", scale=scale),
        order="p:Q",
    )


def _cumulative(p_values: Sequence[float], course: str) -> list[dict[str, Any]]:
    known = sorted(p_value for p_value in p_values if p_value == p_value)
    step = -(-len(known) // _MOST_POINTS) or 1
    shares = [(known[at], (at + 1) / len(known)) for at in range(step - 1, len(known), step)]
    return [{"course": course, "p": p, "share": share} for p, share in [(0.0, 0.0), *shares]]
