"""One round: messages are due, a worker is killed or a server fails, and the site recovers."""

import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from tests.crash.points import OF_RECOVERY
from tests.crash.verdict import Verdict, judge
from tests.crash.worker import HOLD, Orders, started
from tests.crash.world import (
    Round,
    Site,
    make_round,
    say_no_by_feed,
    say_no_by_page,
    sending_to,
    settle,
)
from tests.factories import NOW
from tests.faulty_smtp import HANG_UP, PAUSE, FaultySmtp, serve
from tests.processes import wait_until

LEASE_IS_OVER = timedelta(minutes=16)
SECOND = timedelta(seconds=1)
# So many mails of a round are sent by two workers, whoever says no.
SENT_AT_LEAST = 5
SECONDS_OF_A_TURN = 0.05
# A round has so few messages that with eight connections a loop is over before all of them are
# open. With two, most turns are claimed while messages are on their way.
FEW = 2


@dataclass(frozen=True)
class Fault:
    """What the mail server does until the worker is gone. Without a stage it works."""

    name: str
    stage: str = ""
    does: str = ""
    # At the end of a mail: it is kept, and only the answer is missing.
    keeps: bool = False

    @property
    def sink(self) -> FaultySmtp:
        """Return a server that has the fault."""
        return FaultySmtp(stage=self.stage, fault=self.does, keeps=self.keeps)


NONE = Fault("none")
HANGS = (
    *(Fault(f"hangs at {stage}", stage, PAUSE) for stage in ("connect", "MAIL", "RCPT", "DATA")),
    Fault("hangs in the body", "body", PAUSE),
    Fault("hangs at the end, mail not kept", "end", PAUSE),
    Fault("hangs at the end, mail kept", "end", PAUSE, keeps=True),
)
CLOSES = tuple(
    Fault(f"421 at {stage}", stage, "421 closing") for stage in ("MAIL", "RCPT", "DATA", "end")
)
HANG_UPS = tuple(
    Fault(f"hangs up at {stage}", stage, HANG_UP) for stage in ("MAIL", "RCPT", "DATA", "body")
)
DROPS = (
    Fault("hangs up at the end, mail not kept", "end", HANG_UP),
    Fault("accepts, then hangs up", "end", HANG_UP, keeps=True),
)
REFUSES = (
    Fault("451 to the recipient", "RCPT", "451 later"),
    Fault("550 to the recipient", "RCPT", "550 no such user"),
    Fault("451 to the mail", "end", "451 later"),
    Fault("550 to the mail", "end", "550 refused"),
)
# At these the worker has no connection, so it claims nothing and comes to no later point.
NO_GREETING = (
    Fault("421 at connect", "connect", "421 closing"),
    Fault("hangs up at connect", "connect", HANG_UP),
)


class MissedError(Exception):
    """The worker ended before it came to the point so often."""


def kill_at(site: Site, point: str, *more: str, nth: int = 1, fault: Fault = NONE) -> Verdict:
    """Kill a worker at the n-th time it comes to the point, and return what came of it all.

    With `more` points the next workers are killed there, one after the other, before the site
    recovers. A point of `more` may be missed, because nothing may be left to do for it. Raise
    MissedError if the first worker does not come to its point so often.
    """
    with _round(site, fault) as (made, sink):
        orders = Orders(NOW, sink.port, point=point, nth=nth)
        if nth > 1:
            orders = replace(orders, connections=FEW)
        kills = 1
        if point in OF_RECOVERY:
            assert _is_killed(replace(orders, point="after the dot", nth=1))
            orders, kills = replace(orders, now=NOW + LEASE_IS_OVER, stages=("recover",)), 2
        if not _is_killed(orders):
            # Otherwise its last messages would come to the mail server of the next round.
            _after(made, sink, now=orders.now, kills=0)
            raise MissedError(f"The worker did not come to {orders.point!r} {orders.nth} times.")
        kills += sum(_is_killed(replace(orders, point=each, nth=1)) for each in more)
        return _after(made, sink, now=orders.now, kills=kills)


def kill_while_it_hangs(site: Site, fault: Fault) -> Verdict:
    """Kill a worker that waits for a mail server which does not answer."""
    with _round(site, fault) as (made, sink):
        with started(Orders(NOW, sink.port)) as (worker,):
            assert sink.paused.wait(60), "the worker never came to the stage"
            worker.kill()
        sink.goes_on.set()
        return _after(made, sink, now=NOW, kills=1)


def kill_at_random(site: Site, *, chance: random.Random) -> Verdict:
    """Kill two workers at a random instant of their work, while learners say no.

    The instant is one of the work and not of a clock: on a busy machine the work takes longer.
    """
    first, last = sorted(chance.randint(0, SENT_AT_LEAST) for _ in range(2))
    with _round(site, NONE) as (made, sink):
        orders = Orders(NOW, sink.port, act=HOLD)
        with started(orders, orders) as workers:
            for worker in workers:
                worker.wait("here")
            for worker in workers:
                worker.line.send("go")
            wait_until(lambda: len(sink.accepted) >= first)
            say_no_by_page(made, "plain 0", now=NOW)
            say_no_by_feed(made, "plain 1", now=NOW)
            wait_until(lambda: len(sink.accepted) >= last)
            time.sleep(chance.uniform(0, SECONDS_OF_A_TURN))
            for worker in workers:
                worker.kill()
            kills = sum(worker.process.exitcode != 0 for worker in workers)
        return _after(made, sink, now=NOW, kills=kills)


def fail_at(site: Site, point: str, *, during: Callable[[], None]) -> Verdict:
    """Let a worker wait at the point while `during` breaks something, and then go on."""
    with _round(site, NONE) as (made, sink):
        with started(Orders(NOW, sink.port, point=point, act=HOLD)) as (worker,):
            worker.wait("here")
            during()
            worker.line.send("go")
            assert worker.counts() is not None
        return _after(made, sink, now=NOW, kills=0)


def count_points(site: Site) -> Counter[str]:
    """Return how often a worker that nobody kills comes to each point."""
    with _round(site, NONE) as (made, sink):
        with started(Orders(NOW, sink.port, act=HOLD)) as (worker,):
            worker.wait("here")
            worker.line.send("go")
            counts = worker.counts()
        assert counts is not None
        verdict = _after(made, sink, now=NOW, kills=0)
        assert verdict.faults == 0, verdict
        return counts


def _is_killed(orders: Orders) -> bool:
    with started(orders) as (worker,):
        return worker.counts() is None


@contextmanager
def _round(site: Site, fault: Fault) -> Iterator[tuple[Round, FaultySmtp]]:
    made = make_round(site)
    with serve(fault.sink) as sink:
        yield made, sink


def _after(made: Round, sink: FaultySmtp, *, now: datetime, kills: int) -> Verdict:
    """Let two learners say no, heal the server, and run beats until nothing is left."""
    say_no_by_page(made, "page no", now=now + SECOND)
    say_no_by_feed(made, "feed no", now=now + SECOND)
    sink.heal()
    with sending_to(sink):
        settle(made, now=now + 2 * SECOND)
    assert wait_until(lambda: not sink.talking, seconds=30), "a dialogue has no end"
    return judge(made, sink, kills=kills)
