"""The primary outcome in parts of the learners: courses, sections, traits. Pure.

Parts of a report are exploratory: each has fewer learners than the whole, and among many of them
some differ by chance. No part with few learners is shown, so that nobody can be recognized.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from experiments.metrics.observed import Observed
from experiments.reporting.compared import compared_arms
from experiments.reporting.figures import Figures
from experiments.reporting.report import Report
from experiments.reporting.small_cells import kept_parts
from experiments.stats.comparison import Comparison


@dataclass(frozen=True)
class Part:
    """A part of the learners: its name, its learners per arm, and its comparisons."""

    name: str
    counted: Mapping[str, int]
    comparisons: Sequence[Comparison]
    figures: Figures


@dataclass(frozen=True)
class Subgroups:
    """One way to split the learners.

    `hidden` parts have an arm with too few learners, or would let a reader find such a part by
    subtraction.
    """

    name: str
    parts: list[Part]
    hidden: int


def subgroups(
    name: str,
    groups: Mapping[str, Mapping[str, Observed]],
    *,
    report: Report,
    unnamed: Mapping[str, int] | None = None,
) -> Subgroups:
    """Return the parts that can be shown: every arm has at least 5 counted learners.

    `unnamed` is the number of learners by arm who are in no part that the reader may see.
    """
    nobody = report.primary.metric.observe({})
    whole = {
        group: {arm.key: found.get(arm.key, nobody) for arm in report.arms}
        for group, found in groups.items()
    }
    sizes: dict[str | None, Mapping[str, int]] = {
        group: {arm: each.n for arm, each in found.items()} for group, found in whole.items()
    }
    shown = set(kept_parts({**sizes, None: unnamed or {}}, arms=[arm.key for arm in report.arms]))
    parts = [_part(group, found, report) for group, found in whole.items() if group in shown]
    return Subgroups(name, parts, len(whole) - len(parts))


def _part(name: str, found: Mapping[str, Observed], report: Report) -> Part:
    primary, level = report.primary.metric, report.facts.level
    compared = compared_arms(primary, report.arms, found, level=level)
    counted = {key: each.n for key, each in found.items()}
    return Part(name or "not known", counted, compared, Figures.of(compared))
