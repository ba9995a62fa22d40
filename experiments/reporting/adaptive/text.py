"""What a report says of an adaptive draw: how it is compared, and what adapting cost. Pure."""

from collections.abc import Iterator

from experiments.reporting.report import Report

HOW_COMPARED = (
    "The shares of the arms followed the outcomes. So learners are compared only with those who "
    "were drawn by the same shares. A difference is therefore not that of all learners of two arms."
)
LEFT_OUT = (
    "Not computed for an adaptive draw, as they compare whole arms: means and times, the "
    "difference over time, parts of the learners, those who left or were reached, and the time "
    "before the draw."
)
_ABOUT_EQUAL = 0.02


def adapting_texts(report: Report) -> Iterator[str]:
    """Yield how the arms of an adaptive draw are compared, what that cost, and what is left out."""
    found = report.adaptive
    if found is None:
        return
    yield HOW_COMPARED
    for arm in report.arms:
        width = found.width(arm.key)
        if width is not None:
            yield _cost(arm.name, width, found.learners)
    yield LEFT_OUT


def shares_text(report: Report) -> str:
    """Return by which shares the next learners are drawn, or the last ones were."""
    if report.adaptive is None or not report.adaptive.periods:
        return ""
    last = report.adaptive.periods[-1]
    shares = ", ".join(
        f"{last.shares[arm.key]:.0%} into {arm.name}" for arm in report.arms if arm.weight > 0
    )
    who = "The next learners are drawn by" if report.is_open else "The last learners were drawn by"
    times = len(report.adaptive.periods) - 1
    changed = "have not changed yet" if not times else f"have changed {_times(times)}"
    return f"{who} these shares: {shares}. The shares {changed}."


def _cost(arm: str, width: float, learners: int) -> str:
    worth = round(learners / width**2)
    if abs(width - 1) <= _ABOUT_EQUAL:
        return f"For “{arm}”, adapting cost no precision."
    if width < 1:
        return (
            f"For “{arm}”, the interval is {width:.2f} times as wide as if the {learners:,} "
            "counted learners had been drawn in equal shares, so adapting cost no precision here."
        )
    return (
        f"For “{arm}”, adapting made the interval {width:.2f} times as wide: the {learners:,} "
        f"counted learners say as much as {worth:,} drawn in equal shares."
    )


def _times(number: int) -> str:
    return "once" if number == 1 else f"{number:,} times"
