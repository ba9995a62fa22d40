"""Claim a learner's next message: policy, rendering and the claim, committed before any I/O."""

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

from django.db import transaction

from activity.models import Learner
from interventions.channels import Channel
from interventions.models import Delivery, DeliveryState
from interventions.operations.cache import DispatchCache
from interventions.operations.ledger import Move, move
from interventions.operations.mailboxes import claim_learner
from interventions.operations.noes import hear
from interventions.operations.sent import SentRow, keep_sent
from interventions.policy.caps import Counted
from interventions.policy.decision import PASSING, Allow, Defer, Deny, decide
from interventions.queries.drafts import draft_of
from interventions.queries.due import lock_due_deliveries
from interventions.queries.facts import Situation, facts_of, message_of, read_situation

LEASE = timedelta(minutes=15)
RENDER_ERROR = "render_error"
TOO_OLD = "too_old"


@dataclass(frozen=True)
class Claim:
    """A message that only this worker may hand off, until its lease ends.

    `delivery` is the row as the claim wrote it, with its run. The channel sends `message`.
    """

    delivery: Delivery
    lease_until: datetime
    channel: Channel
    message: Any


@dataclass
class TurnResult:
    """The result of one turn of a learner: at most one claim, and the moves of other messages."""

    claim: Claim | None = None
    has_more: bool = False
    must_hear: bool = False
    moves: Counter[str] = field(default_factory=Counter)


@dataclass
class _TurnInput:
    """The input of one turn."""

    learner: Learner
    situation: Situation
    cache: DispatchCache
    now: datetime


def claim_next(
    learner_id: int, *, now: datetime, cache: DispatchCache, channels: Collection[str]
) -> TurnResult:
    """Decide on the learner's due messages up to the first to hand off, and claim that one.

    If the learner has a pending opt-out, apply it instead. The messages are decided on in the next
    turn.

    All learners with the mailbox are locked, so that no other worker can pass a cap at the same
    time. Nothing is claimed if another worker has the mailbox.
    """
    turn = _take(learner_id, now=now, cache=cache, channels=channels)
    if turn.must_hear:
        # Not in the transaction of the claim: the opt-out may need to lock learners with lower ids.
        hear(learner_id, now=now)
        turn.has_more = True
    return turn


@transaction.atomic
def _take(
    learner_id: int, *, now: datetime, cache: DispatchCache, channels: Collection[str]
) -> TurnResult:
    turn = TurnResult()
    cache.refresh()
    claimed = claim_learner(learner_id)
    if claimed is None:
        return turn
    if claimed.has_said_no:
        turn.must_hear = True
        return turn
    learner = claimed.learner
    due = lock_due_deliveries(learner_id, now=now, channels=channels, catalogue=cache.catalogue)
    if not due:
        return turn
    enrollment_ids = sorted({delivery.enrollment_id for delivery in due})
    addresses = {name: channel.address(learner) for name, channel in cache.channels.items()}
    situation = read_situation(learner, enrollment_ids, addresses, limits=cache.limits, now=now)
    if situation.is_held:
        # The hold has begun since the learner was found to be due. Held messages wait unchanged: if
        # they were put off, a release at this moment would not find them.
        return turn
    given = _TurnInput(learner, situation, cache, now)
    for position, delivery in enumerate(due):
        turn.claim = _work(delivery, given)
        turn.moves[str(delivery.state)] += 1
        if turn.claim is not None:
            turn.has_more = position + 1 < len(due)
            break
    return turn


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


def _work(delivery: Delivery, given: _TurnInput) -> Claim | None:
    """Decide on one message and write the result. Return the claim if it can be handed off."""
    now = given.now
    if delivery.expires_at <= now:
        move(delivery, Move(DeliveryState.EXPIRED, delivery.reason or TOO_OLD), now=now)
        return None
    facts = facts_of(delivery, given.learner, given.situation, limits=given.cache.limits, now=now)
    match decide(facts, now=now):
        case Allow():
            return _proceed(delivery, given)
        case Deny(reason, detail):
            move(delivery, Move(DeliveryState.DROPPED, reason, detail), now=now)
        case Defer(until, reason, detail):
            move(delivery, Move(DeliveryState.PLANNED, reason, detail, until), now=now)
            if reason in PASSING:
                given.situation.waiting.append((delivery.priority, message_of(delivery)))
    return None


def _proceed(delivery: Delivery, given: _TurnInput) -> Claim | None:
    """Render, then claim. A ghost goes the same way and lacks only the hand-off."""
    now = given.now
    locales = (given.learner.locale, delivery.enrollment.course.locale)
    text = given.cache.texts.choose(delivery.step.template, locales)
    channel = given.cache.channels[delivery.channel]
    address = given.situation.addresses[delivery.channel]
    route = given.cache.limits.route_of(delivery.channel, delivery.enrollment.course_id)
    try:
        draft = draft_of(delivery, text, given.learner, address, now=now)
        message = channel.compose(replace(draft, route=route))
    except ValueError as error:
        failed = Move(DeliveryState.FAILED, RENDER_ERROR, str(error)[:300])
        move(delivery, failed, now=now, template_text=text)
        return None
    given.situation.counted.append(Counted(message_of(delivery), now, delivery.pk))
    values = {"template_text": text, "address": address, "claimed_at": now}
    if delivery.ghost:
        move(delivery, Move(DeliveryState.GHOST), now=now, **values)
        return None
    values["message_id"] = draft.message_id
    keep_sent([SentRow(delivery.pk, channel.show(message), draft.text.locale)])
    return _claim(delivery, message, given, values)


def _claim(delivery: Delivery, message: Any, given: _TurnInput, values: dict[str, Any]) -> Claim:
    lease_until = given.now + LEASE
    move(
        delivery,
        Move(DeliveryState.CLAIMED),
        now=given.now,
        token=uuid4(),
        lease_until=lease_until,
        attempts=delivery.attempts + 1,
        **values,
    )
    return Claim(delivery, lease_until, given.cache.channels[delivery.channel], message)
