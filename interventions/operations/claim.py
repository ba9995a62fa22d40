"""Claim the next messages of several learners, committed together before any I/O.

Each claim passes the policy and is rendered. Learners who are claimed together gain nothing from
one another: each has the facts of its own mailbox.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import chain
from typing import Any
from uuid import uuid4

from django.db import transaction

from activity.models import Learner
from common.database import note_held
from interventions.channels import Channel
from interventions.models import Delivery, DeliveryState
from interventions.operations.cache import DispatchCache
from interventions.operations.ledger import Change, Move, move, move_all
from interventions.operations.mailboxes import Claimed, claim_learners
from interventions.operations.sent import SentRow, keep_sent
from interventions.policy.decision import PASSING, Allow, Defer, Deny, decide
from interventions.queries.context import message_contexts
from interventions.queries.drafts import Recipient, draft_of
from interventions.queries.due import lock_due_deliveries
from interventions.queries.facts import Asked, Situation, facts_of, message_of, situations_of
from interventions.queries.goals import Goals, goals_of
from interventions.render.context import MessageContext

LEASE = timedelta(minutes=15)
AFTER_ERROR = timedelta(minutes=5)
RENDER_ERROR = "render_error"
TOO_OLD = "too_old"


@dataclass(frozen=True)
class Claim:
    """A message that only this worker may hand off, until its lease ends.

    `delivery` is the row as the claim wrote it, with its run. The channel sends `message`. If
    `is_read`, a rule in force reads that it was sent. Then recording it locks the Due row.
    """

    delivery: Delivery
    lease_until: datetime
    channel: Channel
    message: Any
    is_read: bool


@dataclass
class Turn:
    """The result of one turn of several learners: at most one claim each.

    `again` are learners who may have more due messages. `must_hear` are those with a pending
    opt-out, on whose messages nothing was decided. `at_goal` are runs by learner whose goal was
    reached while a message waited: they must end before something is decided. `rest` are candidates
    without room. `blocked` are learners whose next message is on a channel that had no room from
    the beginning.
    """

    claims: list[Claim] = field(default_factory=list)
    again: list[int] = field(default_factory=list)
    must_hear: list[int] = field(default_factory=list)
    at_goal: dict[int, set[int]] = field(default_factory=dict)
    rest: list[int] = field(default_factory=list)
    blocked: list[int] = field(default_factory=list)
    moves: Counter[str] = field(default_factory=Counter)

    def add(self, other: "Turn") -> None:
        """Add the result of another turn."""
        self.claims += other.claims
        self.again += other.again
        self.must_hear += other.must_hear
        self.at_goal |= other.at_goal
        self.blocked += other.blocked
        self.moves += other.moves


@dataclass(frozen=True)
class _Learner:
    """A locked learner with the due messages and the facts that the decisions need."""

    learner: Learner
    due: Sequence[Delivery]
    situation: Situation


@dataclass
class Decided:
    """The decisions of a turn, which are written in one statement."""

    cache: DispatchCache
    now: datetime
    room: Counter[str]
    turn: Turn
    goals: Goals = field(default_factory=Goals)
    changes: list[Change] = field(default_factory=list)
    sent: list[SentRow] = field(default_factory=list)
    allowed: list[tuple[Delivery, _Learner]] = field(default_factory=list)


@transaction.atomic
def claim_next(
    candidates: Mapping[int, str], *, room: Mapping[str, int], now: datetime, cache: DispatchCache
) -> Turn:
    """Decide on the due messages of learners, up to the first of each to hand off. Claim those."""
    return write_decided(decide_next(candidates, room=room, now=now, cache=cache))


def decide_next(
    candidates: Mapping[int, str],
    *,
    room: Mapping[str, int],
    now: datetime,
    cache: DispatchCache,
    in_flight: frozenset[int] = frozenset(),
) -> Decided:
    """Decide on the due messages of learners, and write nothing yet. Call it in a transaction.

    `candidates` are learners in order, each with the channel of its first message, as far as it is
    known. `room` is how many messages each channel that is up can take now. As many learners are
    taken as there is room. All learners with their mailboxes are locked, so
    that no other worker can pass a cap at the same time. Mailboxes that another worker has are
    skipped. `in_flight` are learners whose messages have no recorded answer yet. Nothing is decided
    on their mailboxes.
    """
    cache.refresh()
    work = Decided(cache, now, Counter(room), Turn())
    full = {name for name, number in room.items() if not number}
    limit = _room_for(candidates, room)
    taken = claim_learners(list(candidates), channels=list(room), now=now, limit=limit)
    work.turn.rest = taken.rest
    for each in _with_facts(_to_decide(taken.claimed, work.turn, in_flight), work):
        waits_for = _decide_in_order(each, work)
        if waits_for is not None:
            later = work.turn.blocked if waits_for in full else work.turn.again
            later.append(each.learner.pk)
    _render(work)
    _come_again(taken.instead_of, work)
    return work


def _room_for(candidates: Mapping[int, str], room: Mapping[str, int]) -> int:
    """Return how many learners to lock.

    With the room of all channels together, a turn with messages of only one channel would lock and
    read learners for whom it has no room. But learners whose channel has none take places too, and
    those behind them must not wait.
    """
    wanted = Counter(candidates.values())
    if not all(room.get(name) for name in wanted):
        return sum(room.values())
    return sum(min(number, wanted[name]) for name, number in room.items())


def write_decided(work: Decided) -> Turn:
    """Write all decisions. The rows are locked, so none can have moved meanwhile."""
    if work.changes:
        move_all(work.changes, now=work.now)
        keep_sent(work.sent)
    states = Counter(str(change.delivery.state) for change in work.changes)
    states.pop(DeliveryState.CLAIMED, None)
    work.turn.moves = states
    return work.turn


def postpone(learner_id: int, *, until: datetime, now: datetime, error: str) -> None:
    """Postpone a learner's due messages after a failed turn, so that they do not block the loop."""
    with transaction.atomic():
        # Locked first, as in all code that locks several messages of a learner.
        list(Learner.objects.select_for_update(no_key=True).filter(pk=learner_id).values("pk"))
        due = Delivery.objects.filter(
            learner=learner_id, state=DeliveryState.PLANNED, send_at__lte=now
        )
        # A message that another transaction has locked is skipped: it is being decided on anyway.
        # Waiting could deadlock, because react and plan lock messages in another order.
        rows = due.select_related("run").select_for_update(
            no_key=True, skip_locked=True, of=("self",)
        )
        for delivery in rows.order_by("pk"):
            move(delivery, Move(DeliveryState.PLANNED, "error", error[:300], until), now=now)


def _to_decide(taken: Iterable[Claimed], turn: Turn, in_flight: Collection[int]) -> list[Learner]:
    """Return the learners to decide on: one per mailbox, and none with a pending opt-out."""
    mailboxes = set(in_flight)
    found = []
    for each in taken:
        if each.has_said_no:
            # Not in this transaction: the opt-out may need to lock learners with lower ids.
            turn.must_hear.append(each.learner.pk)
        elif mailboxes & each.sharers:
            # Its caps count the message that the other learner may get in this turn.
            turn.again.append(each.learner.pk)
        else:
            mailboxes |= each.sharers
            found.append(each.learner)
    return found


def _come_again(instead_of: Mapping[int, int], work: Decided) -> None:
    """Let candidates come again for whom another learner of their mailbox was taken."""
    turn = work.turn
    # If nothing could be decided for the other learner, a loop would try again and again.
    tried = {change.delivery.learner_id for change in work.changes}.union(
        turn.again, turn.must_hear, turn.at_goal
    )
    turn.blocked += [pk for pk, first in instead_of.items() if first in turn.blocked]
    turn.again += [pk for pk, first in instead_of.items() if first in tried]


def _with_facts(learners: Sequence[Learner], work: Decided) -> list[_Learner]:
    """Return the learners with due messages that may be decided on, with their facts."""
    if not learners:
        return []
    ids = [each.pk for each in learners]
    cache = work.cache
    due = lock_due_deliveries(ids, now=work.now, channels=work.room, catalogue=cache.catalogue)
    for _ in set(ids) - due.keys():
        note_held()
    work.goals = goals_of(chain.from_iterable(due.values()), now=work.now)
    # They end in a transaction that locks runs first.
    work.turn.at_goal = _at_goal(due, work.goals.reached)
    asked = [
        _asked(each, due[each.pk], cache)
        for each in learners
        if due.get(each.pk) and each.pk not in work.turn.at_goal
    ]
    situations = situations_of(asked, limits=cache.limits, now=work.now) if asked else {}
    return [
        _Learner(each.learner, due[each.learner.pk], situations[each.learner.pk])
        for each in asked
        # The hold has begun since the learner was found to be due. Held messages wait unchanged: if
        # they were put off, a release at this moment would not find them.
        if not situations[each.learner.pk].is_held
    ]


def _at_goal(due: Mapping[int, Sequence[Delivery]], reached: set[int]) -> dict[int, set[int]]:
    """Return the runs at their goal by learner."""
    found = {pk: reached & {each.run_id for each in of_learner} for pk, of_learner in due.items()}
    return {pk: runs for pk, runs in found.items() if runs}


def _asked(learner: Learner, due: Sequence[Delivery], cache: DispatchCache) -> Asked:
    addresses = {name: channel.address(learner) for name, channel in cache.channels.items()}
    return Asked(learner, addresses, sorted({delivery.enrollment_id for delivery in due}))


def _decide_in_order(each: _Learner, work: Decided) -> str | None:
    """Decide on the learner's messages up to the first to hand off.

    Return the channel of the next message, which must wait, or None if no more are due. A less
    important message never goes first because only its channel has room.
    """
    is_taken = False
    for delivery in each.due:
        if is_taken or (not delivery.ghost and not work.room[delivery.channel]):
            return delivery.channel
        is_taken = _decide(delivery, each, work)
    return None


def _decide(delivery: Delivery, each: _Learner, work: Decided) -> bool:
    """Decide on one message. Return whether it can be handed off."""
    now, limits = work.now, work.cache.limits
    if delivery.expires_at <= now:
        work.changes.append(
            Change(delivery, Move(DeliveryState.EXPIRED, delivery.reason or TOO_OLD))
        )
        return False
    if error := work.goals.unreadable.get(delivery.run_id):
        put_off = Move(DeliveryState.PLANNED, "error", error[:300], now + AFTER_ERROR)
        work.changes.append(Change(delivery, put_off))
        return False
    facts = facts_of(delivery, each.learner, each.situation, limits=limits, now=now)
    match decide(facts, now=now):
        case Allow():
            work.allowed.append((delivery, each))
            if not delivery.ghost:
                work.room[delivery.channel] -= 1
            return True
        case Deny(reason, detail):
            work.changes.append(Change(delivery, Move(DeliveryState.DROPPED, reason, detail)))
        case Defer(until, reason, detail):
            put_off = Move(DeliveryState.PLANNED, reason, detail, until)
            work.changes.append(Change(delivery, put_off))
            if reason in PASSING:
                each.situation.waiting.append((delivery.priority, message_of(delivery)))
    return False


def _render(work: Decided) -> None:
    """Render what may be handed off. A ghost goes the same way and lacks only the hand-off."""
    asked = [(delivery, each.learner) for delivery, each in work.allowed]
    contexts = message_contexts(asked, now=work.now)
    for delivery, each in work.allowed:
        _proceed(delivery, each, contexts[delivery.pk], work)


def _proceed(delivery: Delivery, each: _Learner, context: MessageContext, work: Decided) -> None:
    channel = work.cache.channels[delivery.channel]
    locales = [delivery.enrollment.course.locale]
    if not channel.is_for_staff:
        locales.insert(0, each.learner.locale)
    text = work.cache.texts.choose(delivery.step.template, locales)
    values: dict[str, Any] = {"template_text_id": text and text.pk}
    to = Recipient(each.learner, each.situation.addresses[delivery.channel])
    route = work.cache.limits.route_of(delivery.channel, delivery.enrollment.course_id)
    try:
        draft = draft_of(delivery, text, to, context, now=work.now)
        message = channel.compose(replace(draft, route=route))
    except ValueError as error:
        failed = Move(DeliveryState.FAILED, RENDER_ERROR, str(error)[:300])
        work.changes.append(Change(delivery, failed, values))
        return
    values |= {"address": to.address, "claimed_at": work.now}
    if delivery.ghost:
        work.changes.append(Change(delivery, Move(DeliveryState.GHOST), values))
        return
    values |= {"message_id": draft.message_id, "attempts": delivery.attempts + 1}
    values |= {"token": uuid4(), "lease_until": work.now + LEASE}
    work.changes.append(Change(delivery, Move(DeliveryState.CLAIMED), values))
    work.sent.append(SentRow(delivery.pk, channel.show(message), draft.text.locale))
    is_read = work.cache.reads_log
    work.turn.claims.append(Claim(delivery, values["lease_until"], channel, message, is_read))
