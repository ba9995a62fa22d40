"""The dispatch stage: claim, send and record messages, several at a time.

At most as many messages are claimed as the channels have connections. If a worker is killed, only
those are in doubt. While they are on their way, the next ones are already decided on.
"""

import logging
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta

from common.clock import Clock
from common.database import is_held, is_outage, note_held, passing_over_held
from interventions.channels import (
    CHANNELS,
    Channel,
    ChannelDownError,
    Flight,
    Lines,
    switching_seldom,
)
from interventions.operations.cache import DispatchCache
from interventions.operations.claim import (
    AFTER_ERROR,
    Claim,
    Turn,
    claim_next,
    decide_next,
    postpone,
)
from interventions.operations.finish import Done, release_claims
from interventions.operations.kept_noes import apply_kept_noes
from interventions.operations.next_turn import Recorded, is_stopped_by, record_and_claim
from interventions.operations.noes import hear
from interventions.operations.pace import give_back, slow_down, slowed_room, speed_up, take
from interventions.operations.recording import record_answers
from interventions.operations.runs import end_at_goal
from interventions.operations.waiting import WaitingList
from interventions.queries.due import due_learners

# No hand-off starts with less of its lease left. Even with a hanging server, the answer must be
# recorded before recover treats the delivery as lost.
LEASE_TO_START = timedelta(minutes=10)
# The wait of a loop whose messages have used up the limits per second of their channels.
SECONDS_TO_WAIT = 0.1
# The next turn keeps its learners locked until the answers to this one have come, for so long at
# most. A server that takes longer gives no time to gain.
SECONDS_TO_HOLD = 0.25

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Loop:
    """The state of one run of the stage."""

    clock: Clock
    deadline: float
    lines: Mapping[str, Lines]
    cache: DispatchCache
    moves: Counter[str]
    is_stopping: Callable[[], bool]
    # After a connection error a channel stops until the next beat, which tries one message.
    # Otherwise a hanging server would delay one message after another, or bring them into doubt.
    stopped: set[str] = field(default_factory=set)
    used: set[str] = field(default_factory=set)
    # Channels that answered the latest messages within SECONDS_TO_HOLD.
    quick: set[str] = field(default_factory=set)

    @property
    def is_over(self) -> bool:
        """Return whether the loop must not start another message."""
        return self.is_stopping() or time.monotonic() >= self.deadline


@dataclass(frozen=True)
class _Flight:
    """Claims of one channel that are being handed off."""

    channel: str
    claims: Sequence[Claim]
    begun_at: float
    flight: Flight

    def answered(self) -> list[Done]:
        """Wait for the answers."""
        return [*map(Done, self.claims, self.flight.answers())]

    def answered_soon(self) -> list[Done] | None:
        """Wait for the answers, but not for long. Return None if they have not come."""
        left = self.begun_at + SECONDS_TO_HOLD - time.monotonic()
        return self.answered() if self.flight.is_over(within=max(left, 0.0)) else None


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
    after the current messages when `is_stopping` returns True.
    """
    open_channels = CHANNELS if channels is None else channels
    lines = {name: Lines(channel) for name, channel in open_channels.items()}
    loop = _Loop(
        clock=clock,
        deadline=time.monotonic() + budget_seconds,
        lines=lines,
        cache=DispatchCache(open_channels),
        moves=Counter(),
        is_stopping=is_stopping,
    )
    with _closing(lines), switching_seldom():
        queue = WaitingList()
        for page in _pages(loop):
            queue.fill(page)
            if not _serve(queue, loop):
                break
        _speed_up(loop)
    return +loop.moves


def _pages(loop: _Loop) -> Iterator[Mapping[int, str]]:
    served: set[int] = set()
    while page := due_learners(now=loop.clock(), channels=loop.lines, passed_over=served):
        served.update(page)
        yield page


def _serve(queue: WaitingList, loop: _Loop) -> bool:
    """Send the learners all due messages, in turns. Return False if the loop must end."""
    while queue.learners:
        # Opening a connection can take as long as the timeout, so the time is checked after it.
        room = _room(loop)
        if loop.is_over or not room:
            return False
        if not any(room.values()):
            # Without a wait, a limit per second would be a limit per beat.
            time.sleep(SECONDS_TO_WAIT)
            continue
        turn = _claim(queue.next, room, loop)
        _give_back(room, turn, loop)
        following = _send(turn, queue, loop)
        while following is not None:
            following = _send(following, queue, loop)
    return True


def _send(turn: Turn, queue: WaitingList, loop: _Loop) -> Turn | None:
    """Hand the claims off and record the answers. Return the next turn if one is claimed by then.

    The next turn is claimed meanwhile if that saves time.
    """
    loop.moves.update(turn.moves)
    queue.advance(turn)
    flights = _hand_off(turn.claims, loop)
    recorded = _claim_meanwhile(flights[0], queue, loop) if _is_quick(turn, flights, loop) else None
    if recorded is not None:
        _note(flights[0], recorded.done, recorded.states, loop)
        return recorded.turn
    for flight in sorted(flights, key=lambda each: loop.lines[each.channel].most):
        done = flight.answered()
        _note(flight, done, record_answers(done, clock=loop.clock), loop)
    queue.learners[:0] = _again(turn, loop)
    # Learners who wait for a channel at its limit would else be asked for again and again.
    if turn.blocked and not turn.claims and not turn.moves:
        time.sleep(SECONDS_TO_WAIT)
    return None


def _is_quick(turn: Turn, flights: Sequence[_Flight], loop: _Loop) -> bool:
    """Return whether the next turn can be claimed while the messages are on their way.

    Nothing else may do I/O or use the database in this time, in which a transaction is open.
    """
    if len(flights) != 1 or turn.must_hear or turn.at_goal or loop.is_over:
        return False
    name = flights[0].channel
    return (
        name in loop.quick
        and loop.lines[name].sends_aside
        and all(loop.lines[each].is_settled for each in loop.lines.keys() - loop.stopped)
        and not any(channel.per_second() for channel in loop.cache.channels.values())
        # Due rows come before the deliveries that the next turn has locked.
        and not any(claim.is_read for claim in flights[0].claims)
    )


def _claim_meanwhile(flight: _Flight, queue: WaitingList, loop: _Loop) -> Recorded | None:
    """Decide on the next turn meanwhile, and record and claim in one transaction.

    Return None if nothing is written. Then both are done one after the other.
    """
    in_flight = frozenset(claim.delivery.learner_id for claim in flight.claims)
    candidates = {pk: name for pk, name in queue.next.items() if pk not in in_flight}
    names = loop.lines.keys() - loop.stopped
    room = {name: number for name in names if (number := _room_of(name, loop))}
    if not candidates or not room:
        return None
    now = loop.clock()
    try:
        apply_kept_noes(now=now)
        recorded = record_and_claim(
            lambda: decide_next(
                candidates, room=room, now=now, cache=loop.cache, in_flight=in_flight
            ),
            answers=flight.answered_soon,
            goes_on=lambda done: not loop.is_over and not is_stopped_by(done),
            clock=loop.clock,
        )
    # Whatever it is, it meets those who record and claim one after the other, and who know about
    # outages and about rows that fail alone.
    except Exception:
        log.warning("A turn could not be claimed while messages were sent", exc_info=True)
        return None
    if recorded is not None and recorded.turn is not None:
        recorded.turn.again[:0] = [each for each in queue.next if each in in_flight]
    return recorded


def _claim(candidates: Mapping[int, str], room: Mapping[str, int], loop: _Loop) -> Turn:
    """Claim at most one message for each of the learners that there is room for."""
    now = loop.clock()
    # Opt-outs kept while the database was down must apply before the first message after it.
    apply_kept_noes(now=now)
    try:
        return claim_next(candidates, room=room, now=now, cache=loop.cache)
    except Exception as error:
        if is_outage(error) and not is_held(error):
            raise
        if len(candidates) > 1:
            return _claim_singly(candidates, room, loop)
        _put_off(next(iter(candidates)), error, loop)
        return Turn()


def _claim_singly(candidates: Mapping[int, str], room: Mapping[str, int], loop: _Loop) -> Turn:
    """Claim for one learner after the other, so that a failing learner blocks no other."""
    left, together = Counter(room), Turn()
    for place, (learner_id, name) in enumerate(candidates.items()):
        turn = _claim({learner_id: name}, left, loop)
        left.subtract(claim.delivery.channel for claim in turn.claims)
        together.add(turn)
        if not left.total():
            together.rest = list(candidates)[place + 1 :]
            break
    return together


def _put_off(learner_id: int, error: Exception, loop: _Loop) -> None:
    """Postpone a failing learner, who would else be the first in each loop."""
    if is_held(error):
        note_held()
        return
    log.error("Learner %s cannot be dispatched", learner_id, exc_info=error)
    now = loop.clock()
    with passing_over_held():
        postpone(learner_id, until=now + AFTER_ERROR, now=now, error=str(error))


def _again(turn: Turn, loop: _Loop) -> list[int]:
    """Apply pending opt-outs and end runs at their goal. Return the learners to decide on then."""
    heard = _done(turn.must_hear, lambda pk: hear(pk, now=loop.clock()), loop)
    ended = _done(turn.at_goal, lambda pk: end_at_goal(turn.at_goal[pk], now=loop.clock()), loop)
    return [*heard, *ended]


def _done(learner_ids: Iterable[int], act: Callable[[int], None], loop: _Loop) -> Iterator[int]:
    """Do it for each of the learners. Yield those for whom it succeeded."""
    for learner_id in learner_ids:
        try:
            act(learner_id)
        except Exception as error:
            if is_outage(error) and not is_held(error):
                raise
            _put_off(learner_id, error, loop)
        else:
            yield learner_id


def _hand_off(claims: Sequence[Claim], loop: _Loop) -> list[_Flight]:
    """Begin to send. All channels begin at once, so that none waits for a slow one."""
    now = loop.clock()
    late = [claim for claim in claims if claim.lease_until - now < LEASE_TO_START]
    if late:
        release_claims(late, now=now, reason="lease_too_short")
    by_channel: dict[str, list[Claim]] = defaultdict(list)
    for claim in claims:
        if claim not in late:
            by_channel[claim.delivery.channel].append(claim)
    return [
        _Flight(
            name,
            of_channel,
            time.monotonic(),
            loop.lines[name].begin([claim.message for claim in of_channel]),
        )
        for name, of_channel in by_channel.items()
    ]


def _note(flight: _Flight, done: Sequence[Done], states: Sequence[str | None], loop: _Loop) -> None:
    """Count the new states, and note what the answers say about the channel."""
    name, answers = flight.channel, [each.answer for each in done]
    loop.moves.update(state or "lost" for state in states)
    is_quick = time.monotonic() - flight.begun_at < SECONDS_TO_HOLD
    (loop.quick.add if is_quick else loop.quick.discard)(name)
    for answer in answers:
        if answer.stops_the_channel:
            log.warning("Channel %s stops for this loop: %s", name, answer.detail)
            loop.stopped.add(name)
    loop.used.add(name)
    asking = [answer for answer in answers if answer.is_throttling]
    if asking:
        after = max(answer.retry_after or timedelta(0) for answer in asking)
        until = slow_down(name, at_once=len(answers), after=after, now=loop.clock())
        log.warning("Channel %s goes on at %s with fewer messages at once", name, until)
        loop.stopped.add(name)


def _speed_up(loop: _Loop) -> None:
    """Let channels that were slowed down before, and now went well, send more at once again."""
    for name in loop.used - loop.stopped:
        if name in loop.cache.paces:
            speed_up(name, most=loop.lines[name].most)


def _room(loop: _Loop) -> dict[str, int]:
    """Return how many messages each channel that is up can take at once."""
    room = {}
    for name in loop.lines.keys() - loop.stopped:
        try:
            loop.lines[name].open()
        except ChannelDownError as error:
            log.warning("Channel %s is down: %s", name, error)
            loop.stopped.add(name)
        else:
            room[name] = _room_of(name, loop)
    return {name: number for name, number in room.items() if name not in loop.stopped}


def _room_of(name: str, loop: _Loop) -> int:
    """Return how many messages the channel can take. It is 0 if its limit is used up for now."""
    now = loop.clock()
    allowed = slowed_room(loop.cache.paces.get(name), most=loop.lines[name].room, now=now)
    if not allowed:
        loop.stopped.add(name)
        return 0
    limit = loop.cache.channels[name].per_second()
    return take(name, allowed, per_second=limit, now=now) if limit else allowed


def _give_back(room: Mapping[str, int], turn: Turn, loop: _Loop) -> None:
    """Give back what the turn did not use of the limits per second."""
    used = Counter(claim.delivery.channel for claim in turn.claims)
    for name, number in room.items():
        limit = loop.cache.channels[name].per_second()
        if limit:
            give_back(name, number - used[name], per_second=limit)


@contextmanager
def _closing(lines: Mapping[str, Lines]) -> Iterator[None]:
    try:
        yield
    finally:
        for each in lines.values():
            each.close()
