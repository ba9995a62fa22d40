"""The primary outcome in parts of the learners: courses, sections, traits. Pure.

Parts of a report are exploratory: each has fewer learners than the whole, and among many of them
some differ by chance. No part with few learners is shown, so that nobody can be recognized.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from experiments.metrics.definitions import Metric
from experiments.metrics.observed import Observed
from experiments.reporting.compared import compared_arms
from experiments.reporting.facts import ArmFacts
from experiments.reporting.figures import Figures
from experiments.stats.comparison import Comparison

# An arm of fewer learners could show what one of them did.
FEWEST = 5


@dataclass(frozen=True)
class Part:
    """A part of the learners: its name, its learners per arm, and its comparisons."""

    name: str
    counted: Mapping[str, int]
    comparisons: Sequence[Comparison]
    figures: Figures


@dataclass(frozen=True)
class Subgroups:
    """One way to split the learners. `hidden` parts have an arm with too few learners."""

    name: str
    parts: list[Part]
    hidden: int


def subgroups(
    name: str,
    groups: Mapping[str, Mapping[str, Observed]],
    *,
    primary: Metric,
    arms: Sequence[ArmFacts],
    level: float,
) -> Subgroups:
    """Return the parts of which every arm has at least 5 counted learners."""
    nobody = primary.observe({})
    whole = {
        group: {arm.key: found.get(arm.key, nobody) for arm in arms}
        for group, found in groups.items()
    }
    shown = {
        group: found
        for group, found in whole.items()
        if min(each.n for each in found.values()) >= FEWEST
    }
    parts = [_part(group, found, primary, arms, level) for group, found in shown.items()]
    return Subgroups(name, parts, len(whole) - len(shown))


def _part(
    name: str,
    found: Mapping[str, Observed],
    primary: Metric,
    arms: Sequence[ArmFacts],
    level: float,
) -> Part:
    compared = compared_arms(primary, arms, found, level=level)
    counted = {key: each.n for key, each in found.items()}
    return Part(name or "not known", counted, compared, Figures.of(compared))
