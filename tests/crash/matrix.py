"""The lines of the table: where a worker is killed, what else fails, and how often."""

import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial

from tests.crash import points
from tests.crash.broker import serve_through
from tests.crash.outages import RESTARTS
from tests.crash.rounds import (
    CLOSES,
    DROPS,
    HANG_UPS,
    HANGS,
    NO_GREETING,
    NONE,
    REFUSES,
    Fault,
    MissedError,
    fail_at,
    kill_at,
    kill_at_random,
    kill_while_it_hangs,
)
from tests.crash.verdict import Verdict
from tests.crash.world import Site

# Where a worker is killed while the mail server misbehaves: before it has committed what came of
# the mail, and after it.
AFTER_A_FAULT = ("answer written", "answer committed")
# Where PostgreSQL restarts under a worker that lives.
RESTARTED_AT = ("claim written", "after 250", "record written")
# How many workers are killed in a round, one after the other, and the rounds at random moments.
WORKERS_IN_A_ROUND = 3
TIMES_AT_RANDOM = 8


@dataclass
class Cell:
    """The rounds of one line of the table."""

    point: str
    fault: str
    rounds: list[Callable[[], Verdict]] = field(default_factory=list)


def all_cells(site: Site, counts: Counter[str], chance: random.Random) -> Iterator[Cell]:
    """Yield the lines of the table. `counts` are those of a worker nobody kills.

    Raise MissedError if it has not come to one of the points.
    """
    for point in (*points.OF_THE_DATABASE, *points.OF_THE_MAIL, *points.OF_THE_RECORD):
        # At its first time, and in the middle of the work.
        numbers = sorted({1, 1 + _count(point, counts) // 2})
        yield Cell(point, NONE.name, [_at(site, point, nth=each) for each in numbers])
    for point in points.OF_RECOVERY:
        yield Cell(point, NONE.name, [_at(site, point)])
    for name in (points.STATEMENT, points.COMMAND):
        numbers = [chance.randint(1, counts[name]) for _ in range(TIMES_AT_RANDOM)]
        rounds = [_at(site, name, nth=each) for each in numbers]
        yield Cell(f"at a random {name}", NONE.name, rounds)
    yield from _with_faults(site)
    for point in RESTARTED_AT:
        for name, restart in RESTARTS.items():
            yield Cell(point, name, [partial(fail_at, site, point, during=restart)])
    at_random = partial(kill_at_random, site, chance=chance)
    yield Cell("at a random instant, two workers", NONE.name, [at_random] * TIMES_AT_RANDOM)
    yield Cell("in Celery", "Valkey flushed, then killed", [partial(serve_through, site)])


def _with_faults(site: Site) -> Iterator[Cell]:
    for fault in HANGS:
        yield Cell("while it waits", fault.name, [partial(kill_while_it_hangs, site, fault)])
    for fault in (*CLOSES, *HANG_UPS, *DROPS, *REFUSES):
        name = "answer written, then committed"
        yield Cell(name, fault.name, [partial(kill_at, site, *AFTER_A_FAULT, fault=fault)])
    for fault in NO_GREETING:
        yield Cell("before connect", fault.name, [_at(site, "before connect", fault=fault)])


def _count(point: str, counts: Counter[str]) -> int:
    if not counts[point]:
        raise MissedError(f"No worker comes to the point “{point}”.")
    return counts[point]


def _at(site: Site, point: str, *, nth: int = 1, fault: Fault = NONE) -> Callable[[], Verdict]:
    workers = [point] * WORKERS_IN_A_ROUND

    def kill() -> Verdict:
        try:
            return kill_at(site, *workers, nth=nth, fault=fault)
        except MissedError:
            # Two workers differ a little at the same work. The first time must come.
            return kill_at(site, *workers, fault=fault)

    return kill
