"""Where arm sizes that can hardly be chance come from: parts of the draws that stand out. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from experiments.reporting.facts import ArmFacts
from experiments.reporting.figures import p_text
from experiments.stats.balance import sample_ratio
from experiments.stats.multiplicity import holm

# The worst parts are enough to find a cause.
MOST_SHOWN = 5
# A part below this p-value, corrected for all parts that are looked at, stands out.
STANDS_OUT = 0.01
NOTHING = (
    "No course, day, segment, cause of entry or source of events stands out. So the fault may lie "
    "in all of them alike, or in something that is not looked at here."
)


@dataclass(frozen=True)
class Part:
    """A part of the draws: what it is, and its learners by arm key."""

    name: str
    drawn: Mapping[str, int]


def parts_that_stand_out(parts: Sequence[Part], arms: Sequence[ArmFacts]) -> list[str]:
    """Return the parts whose arm sizes do not fit the draw, the worst first, as sentences.

    Return one sentence if no part stands out from the others. The only course or segment holds all
    draws, so it is no part of them.
    """
    parts = [
        part for part in parts if any(part.drawn.get(arm.key, 0) != arm.assigned for arm in arms)
    ]
    found = [
        sample_ratio([part.drawn.get(arm.key, 0) for arm in arms], [arm.weight for arm in arms])
        for part in parts
    ]
    corrected = holm([each.p_value for each in found])
    ranked = sorted(zip(corrected, parts, strict=True), key=lambda pair: pair[0])
    worst = [(p_value, part) for p_value, part in ranked if p_value < STANDS_OUT]
    if not worst:
        return [NOTHING]
    return [
        f"{part.name}: {_sizes(part, arms)} ({p_text(p_value)} after correction for "
        f"{len(parts):,} parts)."
        for p_value, part in worst[:MOST_SHOWN]
    ]


def _sizes(part: Part, arms: Sequence[ArmFacts]) -> str:
    return ", ".join(f"{part.drawn.get(arm.key, 0):,} in {arm.name}" for arm in arms)
