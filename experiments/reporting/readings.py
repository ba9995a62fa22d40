"""Other readings of the primary outcome: what to believe, and what to expect elsewhere. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite

from experiments.metrics.definitions import HIGHER
from experiments.metrics.observed import Observed
from experiments.reporting.facts import ArmFacts
from experiments.reporting.figures import level_text
from experiments.reporting.report import Report
from experiments.stats.bayes import PRIOR_SPREAD, Belief, belief
from experiments.stats.comparison import sequences
from experiments.stats.estimate import Estimate
from experiments.stats.pooling import Pooled, pool


@dataclass(frozen=True)
class Reading:
    """What to believe of an arm, and its effect over courses; None where it cannot be said."""

    arm: ArmFacts
    belief: Belief | None
    pooled: Pooled | None


def readings(report: Report, by_course: Mapping[str, Mapping[str, Observed]]) -> list[Reading]:
    """Return the readings of each arm but the control, from the outcomes by course and arm key."""
    control = next(arm for arm in report.arms if arm.is_control)
    own = _effects(report, report.primary.observed)
    courses = [_effects(report, found) for found in by_course.values()]
    spread = _spread(report, control)
    return [
        Reading(
            arm,
            belief(own[arm.key], prior_spread=PRIOR_SPREAD * spread)
            if spread and not report.primary.hides(arm)
            else None,
            pool([found[arm.key] for found in courses]) if len(courses) > 1 else None,
        )
        for arm in report.arms
        if not arm.is_control
    ]


def reading_texts(report: Report, found: list[Reading]) -> list[str]:
    """Return the readings as sentences. A reading that is not known is left out."""
    return [
        text
        for reading in found
        for text in (_belief_text(report, reading), _pooled_text(report, reading))
        if text
    ]


def _effects(report: Report, observed: Mapping[str, Observed]) -> dict[str, Estimate]:
    """Return by arm the difference from the control with its standard error."""
    primary = report.primary.metric
    nobody = primary.observe({})
    sums = {arm.key: observed.get(arm.key, nobody).sums for arm in report.arms}
    control = next(arm.key for arm in report.arms if arm.is_control)
    # Only value and standard error of these are used, which do not depend on the planned number.
    return sequences(
        sums, family=primary.family, control=control, tuned_to=1.0, level=report.facts.level
    )


def _spread(report: Report, control: ArmFacts) -> float:
    """Return the standard deviation of the control's outcomes; 0 if there is none."""
    spread = report.primary.metric.family.spread
    if spread is None or report.primary.hides(control):
        return 0.0
    found = spread(report.primary.observed[control.key].sums)
    return found if isfinite(found) else 0.0


def _belief_text(report: Report, reading: Reading) -> str:
    found = reading.belief
    if found is None or not isfinite(found.mean):
        return ""
    metric = report.primary.metric
    figures = report.primary.rows[0].figures
    better = found.chance_above if metric.better == HIGHER else 1 - found.chance_above
    low, high = figures.limits(found.low, found.high)
    return (
        "If effects are usually small (only one in twenty above a fifth of the usual spread "
        f"between learners), the chance that “{reading.arm.name}” is better on “{metric.name}” is "
        f"{better:.0%}. Its effect is then about "
        f"{figures.change_with_unit(found.mean)}, with a chance of "
        f"{level_text(found.level)} between {low} and {high}{figures.unit.points}."
    )


def _pooled_text(report: Report, reading: Reading) -> str:
    found = reading.pooled
    if found is None or not found.mean.has_value:
        return ""
    figures = report.primary.rows[0].figures.showing(found.mean)
    left = f" {found.left_out:,} more have too few learners." if found.left_out else ""
    if not found.mean.has_interval:
        return ""
    text = (
        f"Over {found.courses:,} courses, the mean effect of “{reading.arm.name}” is "
        f"{figures.change_with_unit(found.mean.value)} ({level_text(found.mean.level)} interval "
        f"{figures.interval(found.mean)}).{left}"
    )
    if not isfinite(found.new_low):
        return f"{text} How courses differ is not known: {found.new_reason}."
    low, high = figures.limits(found.new_low, found.new_high)
    return f"{text} In another course like these, expect {low} to {high}{figures.unit.points}."
