"""Means in another light: by rank, and with large numbers cut. Pure."""

from collections.abc import Iterable
from math import isfinite

from experiments.metrics.observed import Observed
from experiments.reporting.figures import level_text, p_text
from experiments.reporting.report import MetricResult, Report, Row
from experiments.stats.caps import capped, pooled_cap
from experiments.stats.means import mean_difference
from experiments.stats.quantiles import quantile
from experiments.stats.ranks import mann_whitney, superiority
from experiments.stats.sufficient import Frequencies, Moments


def robust_texts(report: Report) -> list[str]:
    """Return for each mean and each arm how it compares by rank, and with large numbers cut.

    The numbers are cut at the percentile of the protocol, over all arms together.
    """
    return [
        text
        for result in report.results
        if result.metric.family.has_numbers
        for row in result.rows
        if not (result.hides(row.arm) or result.hides(row.control))
        for text in (_by_rank(result, row), _cut(report, result, row))
        if text
    ]


def values_of(observed: Observed) -> Frequencies:
    """Return the values of an arm in ascending order, each with the number of its learners."""
    return tuple(sorted((float(number), n) for (number,), n in observed.frequencies.items()))


def _by_rank(result: MetricResult, row: Row) -> str:
    control, arm = (values_of(result.observed[each.key]) for each in (row.control, row.arm))
    found, test = superiority(control, arm), mann_whitney(control, arm)
    if not found.has_interval:
        return ""
    medians = [f"{quantile(each, share=0.5):g}" for each in (arm, control)]
    more = (1 + found.value) / 2
    return (
        f"{result.metric.name} by rank: of a learner in “{row.arm.name}” and one in "
        f"“{row.control.name}”, the first has more in {more:.0%} of pairs, where a tie counts one "
        f"half (Mann-Whitney {p_text(test.p_value)}). The medians are {medians[0]} and "
        f"{medians[1]}."
    )


def _cut(report: Report, result: MetricResult, row: Row) -> str:
    percentile = report.facts.cap_percentile
    arms = {arm.key: values_of(result.observed[arm.key]) for arm in report.arms}
    cap = pooled_cap([each for each in arms.values() if each], percentile=percentile)
    if not isfinite(cap) or cap >= _largest(arms.values()):
        return ""
    kept = [capped(arms[each.key], cap) for each in (row.control, row.arm)]
    if not all(each.frequencies for each in kept):
        return ""
    control, arm = (Moments.from_frequencies(each.frequencies) for each in kept)
    difference = mean_difference(control, arm, level=report.facts.level)
    if not difference.has_interval:
        return ""
    figures = row.figures.showing(difference)
    return (
        f"{result.metric.name} with numbers above {cap:g} cut to it (percentile {percentile:g} of "
        f"all arms): a difference of {figures.change(difference.value)} "
        f"({level_text(difference.level)} interval {figures.interval(difference)}; "
        f"{p_text(difference.p_value)})."
    )


def _largest(arms: Iterable[Frequencies]) -> float:
    return max((each[-1][0] for each in arms if each), default=0.0)
