"""How many examples of a property are looked at."""

from hypothesis import settings

# What hypothesis takes if nothing else is said.
USUAL = 100


def examples(number: int) -> int:
    """Return how many examples stand for `number` of them in this run.

    All in CI, and fewer in `make test`: as its profile has fewer than hypothesis takes by default.
    """
    return max(1, number * settings().max_examples // USUAL)
