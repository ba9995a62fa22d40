"""The dispatch stage: claim, send and record one message at a time."""

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta

from django.db import connection

from common.clock import Clock
from common.database import is_held, is_outage, note_held, passing_over_held
from interventions.channels import CHANNELS, Answer, Channel, ChannelDownError, Connection
from interventions.operations.cache import DispatchCache
from interventions.operations.claim import Claim, claim_next, postpone
from interventions.operations.finish import finish_delivery, release_claim
from interventions.operations.kept_noes import apply_kept_noes
from interventions.queries.due import due_learners

# No hand-off starts with less of its lease left. Even with a hanging server, the answer must be
# recorded before recover treats the delivery as lost.
LEASE_TO_START = timedelta(minutes=10)
AFTER_ERROR = timedelta(minutes=5)
# The pauses between attempts to record, in seconds. The first is 0 for a deadlock. They add up to
# about a minute, the time of a database restart. The lease has ten minutes left at a hand-off.
PAUSES_TO_RECORD = (0, 0.5, 1, 2, 4, 8, 15, 30)

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Loop:
    """The state of one run of the stage."""

    clock: Clock
    deadline: float
    connections: Mapping[str, Connection]
    cache: DispatchCache
    moves: Counter[str]
    is_stopping: Callable[[], bool]
    # After a connection error a channel stops until the next beat, which tries one message.
    # Otherwise a hanging server would delay one message after another, or bring them into doubt.
    stopped: set[str] = field(default_factory=set)

    @property
    def is_over(self) -> bool:
        """Return whether the loop must not start another message."""
        return self.is_stopping() or time.monotonic() >= self.deadline


def dispatch_due(
    *,
    clock: Clock,
    budget_seconds: float = 30.0,
    channels: Mapping[str, Channel] | None = None,
    is_stopping: Callable[[], bool] = lambda: False,
) -> Counter[str]:
    """Send the messages that are due, and return how many went into which state.

    Several workers may run it at once, but only one at a time works on a learner. Messages of a
    channel that is down wait unclaimed. It stops when nothing is due, when the time is used up, or
    after the current message when `is_stopping` returns True.
    """
    open_channels = CHANNELS if channels is None else channels
    connections = {name: channel.connect() for name, channel in open_channels.items()}
    loop = _Loop(
        clock=clock,
        deadline=time.monotonic() + budget_seconds,
        connections=connections,
        cache=DispatchCache(open_channels),
        moves=Counter(),
        is_stopping=is_stopping,
    )
    with _closing(connections):
        for learner_id in _learners(loop):
            if not _serve(learner_id, loop):
                break
    return +loop.moves


def _learners(loop: _Loop) -> Iterator[int]:
    served: set[int] = set()
    while page := due_learners(now=loop.clock(), channels=loop.connections, passed_over=served):
        for learner_id in page:
            served.add(learner_id)
            yield learner_id


def _serve(learner_id: int, loop: _Loop) -> bool:
    """Send one learner all due messages. Return False if the loop must end."""
    has_more = True
    while has_more:
        # Opening a connection can take as long as the timeout, so the time is checked after it.
        up = _channels_up(loop)
        if not up or loop.is_over:
            return False
        has_more = _take_turn(learner_id, up, loop)
    return True


def _take_turn(learner_id: int, channels: list[str], loop: _Loop) -> bool:
    """Claim and hand off at most one message. Return whether more may be due."""
    now = loop.clock()
    # Opt-outs kept while the database was down must apply before the first message after it.
    apply_kept_noes(now=now)
    try:
        turn = claim_next(learner_id, now=now, cache=loop.cache, channels=channels)
    except Exception as error:
        if is_held(error):
            note_held()
            return False
        if is_outage(error):
            raise
        # One failing learner must not block the others: postponed, they are not first in each loop.
        log.exception("Learner %s cannot be dispatched", learner_id)
        with passing_over_held():
            postpone(learner_id, until=now + AFTER_ERROR, now=now, error=str(error))
        return False
    loop.moves.update(turn.moves)
    if turn.claim is not None:
        _hand_off(turn.claim, loop)
    return turn.has_more


def _hand_off(claim: Claim, loop: _Loop) -> None:
    loop.moves["claimed"] -= 1
    now = loop.clock()
    if claim.lease_until - now < LEASE_TO_START:
        release_claim(claim, now=now, reason="lease_too_short")
        return
    name = claim.delivery.channel
    answer = loop.connections[name].send(claim.message)
    if answer.stops_the_channel:
        log.warning("Channel %s stops for this loop: %s", name, answer.detail)
        loop.stopped.add(name)
    state = _record(claim, answer, loop)
    loop.moves[state or "lost"] += 1


def _record(claim: Claim, answer: Answer, loop: _Loop) -> str | None:
    """Finish the delivery. Retry if the database restarts, because else it would be in doubt."""
    for pause in PAUSES_TO_RECORD:
        try:
            return finish_delivery(claim, answer, now=loop.clock())
        except Exception as error:
            if not is_outage(error):
                raise
            log.warning("Delivery %s: tried to record again", claim.delivery.pk, exc_info=True)
            connection.close_if_unusable_or_obsolete()
        # Only here may a worker sleep: the answer of the other side exists only in this process,
        # and no later beat could read it from the database.
        time.sleep(pause)
    return finish_delivery(claim, answer, now=loop.clock())


def _channels_up(loop: _Loop) -> list[str]:
    up = []
    for name in loop.connections.keys() - loop.stopped:
        try:
            loop.connections[name].open()
        except ChannelDownError as error:
            log.warning("Channel %s is down: %s", name, error)
            loop.stopped.add(name)
        else:
            up.append(name)
    return up


@contextmanager
def _closing(connections: Mapping[str, Connection]) -> Iterator[None]:
    try:
        yield
    finally:
        for connection in connections.values():
            connection.close()
