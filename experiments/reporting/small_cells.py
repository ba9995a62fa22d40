"""Cells with so few learners that their numbers would tell what single ones did. Pure."""

from collections import Counter
from collections.abc import Collection, Hashable, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from experiments.stats.comparison import Comparison
from experiments.stats.estimate import UNKNOWN, Estimate, unknown

# A class of fewer learners could be told apart by people who know them.
FEWEST = 5
# What stands in place of a number of learners.
FEW = f"fewer than {FEWEST}"
REASON = (
    f"an arm has {FEW} counted learners, so its numbers are hidden: they would tell what single "
    "learners did"
)
T = TypeVar("T", bound=Hashable)


def is_small(learners: int) -> bool:
    """Return whether so many learners could be recognized. Nobody can be, among none."""
    return 0 < learners < FEWEST


def small_arms(learners: Mapping[str, int]) -> frozenset[str]:
    """Return the arms whose numbers are hidden, from their counted learners."""
    return frozenset(arm for arm, number in learners.items() if is_small(number))


def hidden(level: float) -> Estimate:
    """Return the estimate that stands in place of a hidden one."""
    return unknown(UNKNOWN, level=level, reason=REASON)


def without_small(
    compared: Sequence[Comparison], learners: Mapping[str, int], *, level: float
) -> list[Comparison]:
    """Return the comparisons without the numbers of arms that have so few counted learners."""
    small = small_arms(learners)
    return [_without(each, small, level) if small else each for each in compared]


def _without(found: Comparison, small: Collection[str], level: float) -> Comparison:
    if found.arm not in small and found.control not in small:
        return found
    return replace(
        found,
        arm_level=UNKNOWN if found.arm in small else found.arm_level,
        control_level=UNKNOWN if found.control in small else found.control_level,
        # Beside an arm without learners there is nothing to hide, and that reason says more.
        difference=hidden(level) if found.difference.has_value else found.difference,
        relative=hidden(level) if found.difference.has_value else found.relative,
    )


def kept_parts(
    sizes: Mapping[T | None, Mapping[str, int]], *, arms: Collection[str] = ()
) -> list[T]:
    """Return the parts of a table that can be shown, given their learners by arm.

    Each has at least 5 learners in each of `arms`. The hidden ones are a part too, which a reader
    finds by subtraction, and must not single anybody out either: so larger parts are hidden beside
    them until it does not. Learners without a part (None) belong to it.
    """

    def is_unfit(part: T) -> bool:
        own = sizes[part]
        return _singles_out(own) or any(own.get(arm, 0) < FEWEST for arm in arms)

    rest = Counter(sizes.get(None, {}))
    named = [part for part in sizes if part is not None]
    # Unfit parts come first, then the smallest of the others.
    order = sorted(named, key=lambda part: (not is_unfit(part), sum(sizes[part].values())))
    while order and (is_unfit(order[0]) or _singles_out(rest)):
        rest += Counter(sizes[order.pop(0)])
    return order


def _singles_out(sizes: Mapping[str, int]) -> bool:
    return any(map(is_small, sizes.values()))
