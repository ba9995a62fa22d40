"""How many examples of a property, and how many of many alike, are looked at."""

from collections.abc import Iterable
from typing import TypeVar

from hypothesis import settings

# What hypothesis takes if nothing else is said.
USUAL = 100
Value = TypeVar("Value")


def examples(number: int) -> int:
    """Return how many examples stand for `number` of them in this run.

    All in CI, and fewer in `make test`: as its profile has fewer than hypothesis takes by default.
    """
    return max(1, number * settings().max_examples // USUAL)


def looks_at_all() -> bool:
    """Return whether this run looks at all there is, as CI does."""
    return settings().max_examples >= USUAL


def some(values: Iterable[Value], *, one_in: int) -> list[Value]:
    """Return all values in CI, and in `make test` one of so many, beginning with the first.

    For pages that are built of the same parts: a fault of a part is on several of them.
    """
    found = list(values)
    return found if looks_at_all() else found[::one_in]
