"""Permuted blocks: within a stratum, the arms are balanced after each block. Pure.

Matts and Lachin (1988), Controlled Clinical Trials 9. Block i of stratum s is a permutation that
follows from the seed, s and i, so every draw is replayed from its stratum and position.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count, repeat

from experiments.randomize.permutation import below, permuted, random_words

# With more learners in a block, it balances nothing in a class.
LARGEST_BLOCK = 60
# Weights have four digits, so a third is .3333 or .3334.
_ROUNDED = 1e-4
# The stratum of the sections that are drawn together at the start, and that of later ones.
PRESENT, LATER = "present", "later"


@dataclass(frozen=True)
class Place:
    """The next place of a stratum: the number of its block, and of the place in the block."""

    block: int = 0
    offset: int = 0


@dataclass(frozen=True)
class Blocks:
    """The blocks of an experiment: the arms of the smallest one, and the multiples of it."""

    smallest: tuple[str, ...]
    seed: str
    multiples: tuple[int, ...] = (1,)

    @classmethod
    def of(
        cls, weights: Mapping[str, float], *, seed: str, multiples: Sequence[int] = (1,)
    ) -> "Blocks":
        """Return the blocks for the weights. Raise ValueError if no block of up to 60 fits them."""
        smallest = smallest_block(weights)
        arms = tuple(arm for arm, times in smallest.items() for _ in range(times))
        return cls(arms, seed, tuple(multiples))

    def of_sections(self, stratum: str) -> "Blocks":
        """Return the blocks of a stratum of sections.

        The present sections are drawn at once, so nobody can guess the next arm, and their blocks
        are the smallest.
        """
        return replace(self, multiples=(1,)) if stratum == PRESENT else self

    def block(self, stratum: str, number: int) -> list[str]:
        """Return the arms of the block in their order.

        With several multiples the size of a block is drawn too, so that nobody who knows all
        earlier arms can tell the last ones of a block.
        """
        words = random_words(self.seed, stratum, number)
        multiple = self.multiples[below(len(self.multiples), words)]
        return permuted(self.smallest * multiple, words)

    def arms_from(self, stratum: str, place: Place) -> Iterator[tuple[str, Place]]:
        """Yield each arm from this place on, with the place that follows it."""
        number, offset = place.block, place.offset
        while True:
            arms = self.block(stratum, number)
            for position, arm in enumerate(arms[offset:], start=offset + 1):
                is_last = position == len(arms)
                yield arm, Place(number + 1) if is_last else Place(number, position)
            number, offset = number + 1, 0

    def numbers(self, stratum: str) -> Iterator[int]:
        """Yield the number of its block for each position of the stratum."""
        for number in count():
            yield from repeat(number, len(self.block(stratum, number)))


def smallest_block(weights: Mapping[str, float]) -> dict[str, int]:
    """Return how often each arm is in the smallest block that has these weights.

    Raise ValueError if there is none up to 60.
    """
    for size in range(1, LARGEST_BLOCK + 1):
        times = {arm: round(weight * size) for arm, weight in weights.items()}
        fits = all(abs(times[arm] / size - weight) <= _ROUNDED for arm, weight in weights.items())
        if (
            fits
            and sum(times.values()) == size
            and all(map(_is_drawn, times.values(), weights.values()))
        ):
            return times
    listed = ", ".join(f"{arm}={weight:g}" for arm, weight in weights.items())
    raise ValueError(
        f"No block of at most {LARGEST_BLOCK} learners has the weights {listed}. Take weights "
        "such as 0.5 and 0.5, 0.25 and 0.75, or 0.3 and 0.7, or draw each one by chance."
    )


def _is_drawn(times: int, weight: float) -> bool:
    return (times > 0) == (weight > 0)


def by_size(sections: Mapping[str, int]) -> list[str]:
    """Return the keys of the sections, the largest first, so that a block has similar ones."""
    return sorted(sections, key=lambda key: (-sections[key], key))


def draw_present(sections: Mapping[str, int], blocks: Blocks) -> list[tuple[str, str]]:
    """Return section and arm, by size: each block of neighbours is balanced."""
    pairs = blocks.of_sections(PRESENT).arms_from(PRESENT, Place())
    return [(key, arm) for key, (arm, _) in zip(by_size(sections), pairs, strict=False)]
