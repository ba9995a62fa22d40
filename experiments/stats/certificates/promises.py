"""All promises of the statistics, in full or at a size that takes a few seconds."""

from collections.abc import Iterator, Sequence
from itertools import chain, product

from experiments.stats.certificates import (
    adaptive,
    balance,
    counts,
    looks,
    rates,
    sections,
    sequences,
)
from experiments.stats.certificates.promise import Promise

_ODDS = (1, 3, 5)
# Classes of 60 and 220 learners.
_SIZES = ((20, 20, 2), (60, 40, 4))
_TWO_COURSES = [sequences.Course(share, 100) for share in (1 / 2, 5 / 6)]


def _adaptive(sizes: Sequence[tuple[int, int, int]], *, runs: int) -> Iterator[Iterator[Promise]]:
    """Yield the promises on adaptive draws: two arms, three arms, and rates that rise."""
    rates = ((0.1, 0.1), (0.5, 0.5), (0.3, 0.3, 0.6))
    cases = [adaptive.Case(each, *size) for size in sizes for each in rates]
    rising = [adaptive.Case((0.2, 0.2), *size, rises=True) for size in sizes]
    yield adaptive.adaptive_promises([*cases, *rising], runs=runs)
    yield adaptive.balance_promises(rising[-1:], runs=runs)
    yield adaptive.pooled_promises(rising[-1:], runs=runs)


def full_promises() -> list[Promise]:
    """Return the promises that the documentation shows: about a minute of computing."""
    exact = [(8, 8), (12, 12), (25, 25), (60, 60), (12, 60)]
    arms = [(few, few * odds) for few, odds in product((12, 25, 60, 250), _ODDS)]
    larger = [sequences.Course(share, 500) for share in (1 / 2, 5 / 6)]
    return list(
        chain(
            sections.section_promises(2_500),
            rates.rate_promises(exact, large=[(101, 101)]),
            counts.count_promises(arms, runs=3_000),
            rates.agreement_promises([(8, 8), (8, 20)]),
            counts.agreement_promises(runs=2_000),
            balance.balance_promises((0.5, 0.25, 0.1, 0.05), learners=2_000),
            balance.three_arms_promises(learners=60),
            sequences.sequence_promises([*_TWO_COURSES, *larger], runs=2_500),
            looks.boundary_promises(),
            looks.rate_look_promises([(60, 60), (30, 90), (100, 100)]),
            looks.count_look_promises([(60, 60), (60, 300)], runs=1_500),
            *_adaptive(_SIZES, runs=700),
        )
    )


def quick_promises() -> list[Promise]:
    """Return promises of each kind with few runs, in which only gross faults show."""
    return list(
        chain(
            sections.section_promises(100),
            rates.rate_promises([(6, 6)]),
            counts.count_promises([(12, 12), (12, 60)], runs=300),
            rates.agreement_promises([(3, 3)]),
            counts.agreement_promises(runs=100),
            balance.balance_promises((0.5, 0.1), learners=200),
            balance.three_arms_promises(learners=15),
            sequences.sequence_promises(_TWO_COURSES, runs=100),
            looks.boundary_promises(),
            looks.rate_look_promises([(30, 30)]),
            looks.count_look_promises([(25, 25)], runs=200),
            *_adaptive(_SIZES[1:], runs=60),
        )
    )
