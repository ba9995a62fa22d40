"""The dispatch stage: claim, send and record messages, several at a time.

At most as many messages are in flight as the channels have connections. If a worker is killed, only
those are in doubt.
"""

import logging
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta

from django.db import connection

from common.clock import Clock
from common.database import is_held, is_outage, note_held, passing_over_held
from interventions.channels import CHANNELS, Answer, Channel, ChannelDownError, Lines
from interventions.operations.cache import DispatchCache
from interventions.operations.claim import AFTER_ERROR, Claim, Turn, claim_next, postpone
from interventions.operations.finish import Done, finish_deliveries, release_claims
from interventions.operations.kept_noes import apply_kept_noes
from interventions.operations.noes import hear
from interventions.operations.pace import give_back, slow_down, slowed_room, speed_up, take
from interventions.operations.runs import end_at_goal
from interventions.queries.due import due_learners

# No hand-off starts with less of its lease left. Even with a hanging server, the answer must be
# recorded before recover treats the delivery as lost.
LEASE_TO_START = timedelta(minutes=10)
# The pauses between attempts to record, in seconds. The first is 0 for a deadlock. They add up to
# about a minute, the time of a database restart. The lease has ten minutes left at a hand-off.
PAUSES_TO_RECORD = (0, 0.5, 1, 2, 4, 8, 15, 30)
# The wait of a loop whose messages have used up the limits per second of their channels.
SECONDS_TO_WAIT = 0.1
# Of so many learners in the list, a turn takes those whom no other worker has. With many workers
# most are taken, and it looks at twice as many after each turn that was not full.
CANDIDATES = 32
MOST_CANDIDATES = 256

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
    with _closing(lines):
        for page in _pages(loop):
            if not _serve(page, loop):
                break
        _speed_up(loop)
    return +loop.moves


def _pages(loop: _Loop) -> Iterator[list[int]]:
    served: set[int] = set()
    while page := due_learners(now=loop.clock(), channels=loop.lines, passed_over=served):
        served.update(page)
        yield page


def _serve(waiting: list[int], loop: _Loop) -> bool:
    """Send the learners all due messages, in turns. Return False if the loop must end."""
    width = CANDIDATES
    while waiting:
        # Opening a connection can take as long as the timeout, so the time is checked after it.
        room = _room(loop)
        if loop.is_over or not room:
            return False
        if not any(room.values()):
            # Without a wait, a limit per second would be a limit per beat.
            time.sleep(SECONDS_TO_WAIT)
            continue
        turn = _claim(waiting[:width], room, loop)
        _give_back(room, turn, loop)
        loop.moves.update(turn.moves)
        _hand_off(turn.claims, loop)
        waiting = _again(turn, loop) + turn.rest + waiting[width:] + turn.blocked
        # A full turn leaves a rest.
        width = max(CANDIDATES, width // 2) if turn.rest else min(2 * width, MOST_CANDIDATES)
        # Learners who wait for a channel at its limit would else be asked for again and again.
        if turn.blocked and not turn.claims and not turn.moves:
            time.sleep(SECONDS_TO_WAIT)
    return True


def _claim(candidates: Sequence[int], room: Mapping[str, int], loop: _Loop) -> Turn:
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
        _put_off(candidates[0], error, loop)
        return Turn()


def _claim_singly(candidates: Sequence[int], room: Mapping[str, int], loop: _Loop) -> Turn:
    """Claim for one learner after the other, so that a failing learner blocks no other."""
    left, together = Counter(room), Turn()
    for place, learner_id in enumerate(candidates):
        turn = _claim([learner_id], left, loop)
        left.subtract(claim.delivery.channel for claim in turn.claims)
        together.add(turn)
        if not left.total():
            together.rest = list(candidates[place + 1 :])
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
    return [*turn.again, *heard, *ended]


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


def _hand_off(claims: Sequence[Claim], loop: _Loop) -> None:
    now = loop.clock()
    late = [claim for claim in claims if claim.lease_until - now < LEASE_TO_START]
    if late:
        release_claims(late, now=now, reason="lease_too_short")
    by_channel: dict[str, list[Claim]] = defaultdict(list)
    for claim in claims:
        if claim not in late:
            by_channel[claim.delivery.channel].append(claim)
    # All channels begin at once, so that none waits for a slow one between its claim and its send.
    begun = {name: loop.lines[name].begin([claim.message for claim in of_channel])
             for name, of_channel in by_channel.items()}  # fmt: skip
    for name in sorted(begun, key=lambda each: loop.lines[each].most):
        answers = begun[name]()
        states = _record([*map(Done, by_channel[name], answers)], loop)
        loop.moves.update(state or "lost" for state in states)
        _note(name, answers, loop)


def _note(name: str, answers: Sequence[Answer], loop: _Loop) -> None:
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


def _record(done: Sequence[Done], loop: _Loop) -> list[str | None]:
    """Finish the deliveries. Retry if the database restarts: else they would be in doubt."""
    for pause in PAUSES_TO_RECORD:
        try:
            return finish_deliveries(done, now=loop.clock())
        except Exception as error:
            if not is_outage(error):
                return _record_singly(done, loop, error)
            log.warning("%d deliveries: tried to record again", len(done), exc_info=True)
            connection.close_if_unusable_or_obsolete()
        # Only here may a worker sleep: the answers of the other side exist only in this process,
        # and no later beat could read them from the database.
        time.sleep(pause)
    return finish_deliveries(done, now=loop.clock())


def _record_singly(done: Sequence[Done], loop: _Loop, error: Exception) -> list[str | None]:
    """Record one answer after the other, so that only the failing one stays without a record."""
    if len(done) == 1:
        log.error("Delivery %s is not recorded", done[0].claim.delivery.pk, exc_info=error)
        return [None]
    return [state for each in done for state in _record([each], loop)]


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
