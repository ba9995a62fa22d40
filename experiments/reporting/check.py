"""What the check of a plan says of replays and of other experiments, from their numbers. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from math import isfinite

from common.dates import instant_text
from experiments.randomize.balance import DrawBalance
from experiments.reporting.check_power import points
from experiments.reporting.figures import p_text
from experiments.reporting.prospects import learners_text
from experiments.reporting.replays import Replays, Share
from experiments.stats.estimate import Estimate
from experiments.stats.power import POWER

_ALMOST = 0.99


def correlation_text(icc: Estimate) -> str:
    """Return how alike learners of one section were."""
    if not icc.has_value:
        return f"How alike the learners of a section are is not known: {icc.reason}."
    limits = (
        f" ({icc.level:.0%} interval {icc.low:.3f} to {icc.high:.3f})" if icc.has_interval else ""
    )
    return (
        f"Learners of one section were alike with an intraclass correlation of "
        f"{max(icc.value, 0):.3f}{limits}, measured among those learners. The higher it is, the "
        "more sections it takes."
    )


def false_text(found: Replays) -> str:
    """Return how often equal arms looked different."""
    share = found.without_effect
    right = f"About {1 - found.confidence:.0%} is right"
    if found.sections:
        # Of 300 simulated sets of 12 sections, 90 % had shares from 0 to .15, and of 40 to .10.
        return (
            f"Without any effect, {_of(share)} showed a difference. {right} on average over many "
            f"courses. With only {found.sections:,} sections it also depends on how alike those "
            "are that are drawn side by side, so up to 15% is no surprise."
        )
    return (
        f"Without any effect, {_of(share)} showed a difference. {right}; a share far above it "
        "would mean that the outcome does not suit the analysis."
    )


def found_text(found: Replays) -> str:
    """Return how often the added effect was found, or why none was added."""
    share = found.with_effect
    if share is None:
        return f"No effect was added: {found.reason}."
    size = points(found.lift) if found.metric.family.counts_learners else f"{found.lift:g}"
    could = "could" if share.rate >= POWER else "would often not"
    return (
        f"With an effect of {size} added, {_of(share)} found it. So this experiment {could} have "
        "found it among these learners."
    )


@dataclass(frozen=True)
class Overlap:
    """Another running experiment, and the members whom both draw.

    `balance` tests whether the arms of the two depend on each other. `interactions` are the
    differences of this experiment's effect between two arms of the other, by the names of the arms.
    """

    name: str
    members: int
    both: int
    is_excluded: bool
    balance: DrawBalance | None = None
    interactions: Sequence[tuple[str, Estimate]] = ()


def overlap_texts(found: Overlap) -> Iterator[str]:
    """Yield how many members both experiments draw, and whether their arms depend."""
    if found.is_excluded:
        yield "Both have parts of one exclusion layer, so no learner is in both."
    yield f"{found.both:,} of {found.members:,} members are in both."
    if found.balance is None or not found.both:
        return
    if found.balance.reason:
        yield f"Whether the arms depend on each other is not tested: {found.balance.reason}."
    elif found.balance.p_value < 0.001:
        yield (
            f"The arms depend on each other ({p_text(found.balance.p_value)}): an effect of one "
            "would show as an effect of the other. Change the seed, or use an exclusion layer."
        )
    else:
        yield (
            "The arms of the two are as independent as chance makes them "
            f"({p_text(found.balance.p_value)}), so an effect of the other is in all arms alike."
        )
    yield from (_interaction(name, each) for name, each in found.interactions)


def _interaction(name: str, found: Estimate) -> str:
    if not found.has_interval:
        return f"Whether the effect is another {name} is not known: {found.reason}."
    if found.excludes_zero:
        return f"The effect is another {name} ({p_text(found.p_value)})."
    return f"The effect may be the same {name} ({p_text(found.p_value)})."


def kept_text(at: datetime, *, zone: str, learners: int, source: str) -> str:
    """Return among whom the replays were made, and when."""
    return (
        f"Computed on {instant_text(at, zone=zone)} among {learners_text(learners)}: {source}. It "
        "is kept for up to five minutes."
    )


def chance_text(power: float) -> str:
    """Return the chance as a percentage; nothing is found for certain, and nothing never."""
    if power > _ALMOST:
        return f"more than {_ALMOST:.0%}"
    return f"{power:.0%}" if power >= 1 - _ALMOST else f"less than {1 - _ALMOST:.0%}"


def _of(share: Share) -> str:
    if not share.of or not isfinite(share.rate):
        return "no replay"
    return (
        f"{share.found:,} of {share.of:,} draws ({share.rate:.1%}, give or take {share.error:.1%})"
    )
