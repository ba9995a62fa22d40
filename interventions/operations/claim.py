"""Claim a learner's next message: policy, rendering and the claim, committed before any I/O."""

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
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
    """A message that this worker alone may hand off, until its lease ends.

    `delivery` is the row as the claim wrote it, with its run; `message` is what its channel sends.
    """

    delivery: Delivery
    lease_until: datetime
    channel: Channel
    message: Any


@dataclass
class TurnResult:
    """What one turn of a learner gave: at most one claim, and the moves of the others."""

    claim: Claim | None = None
    has_more: bool = False
    must_hear: bool = False
    moves: Counter[str] = field(default_factory=Counter)


@dataclass
class _Table:
    """All that one turn works with."""

    learner: Learner
    situation: Situation
    cache: DispatchCache
    now: datetime


def claim_next(
    learner_id: int, *, now: datetime, cache: DispatchCache, channels: Collection[str]
) -> TurnResult:
    """Work through the learner's due messages up to the first to hand off, and claim that one.

    Where a no waits to be applied, that is done instead, and the messages are asked about next.

    All learners with the mailbox are locked, so no other worker can pass a cap at the same moment;
    a mailbox that another worker has is left to it.
    """
    turn = _take(learner_id, now=now, cache=cache, channels=channels)
    if turn.must_hear:
        # Not in the transaction of the claim: the no may concern learners with lower ids.
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
    table = _Table(learner, situation, cache, now)
    for position, delivery in enumerate(due):
        turn.claim = _work(delivery, table)
        turn.moves[str(delivery.state)] += 1
        if turn.claim is not None:
            turn.has_more = position + 1 < len(due)
            break
    return turn


def postpone(learner_id: int, *, until: datetime, now: datetime, error: str) -> None:
    """Push a learner's due messages forward after a turn that failed, so that it blocks no loop."""
    with transaction.atomic():
        # First of all, as everybody does who takes several of a learner's messages.
        list(Learner.objects.select_for_update(no_key=True).filter(pk=learner_id).values("pk"))
        due = Delivery.objects.filter(
            learner=learner_id, state=DeliveryState.PLANNED, send_at__lte=now
        )
        # Whoever has one of them is deciding on it anyway and is not waited for: react and plan
        # may take messages in another order.
        rows = due.select_related("run").select_for_update(
            no_key=True, skip_locked=True, of=("self",)
        )
        for delivery in rows.order_by("pk"):
            move(delivery, Move(DeliveryState.PLANNED, "error", error[:300], until), now=now)


def _work(delivery: Delivery, table: _Table) -> Claim | None:
    """Decide on one message and write what follows. Return the claim if it is to be handed off."""
    now = table.now
    if delivery.expires_at <= now:
        move(delivery, Move(DeliveryState.EXPIRED, delivery.reason or TOO_OLD), now=now)
        return None
    facts = facts_of(delivery, table.learner, table.situation, limits=table.cache.limits, now=now)
    match decide(facts, now=now):
        case Allow():
            return _proceed(delivery, table)
        case Deny(reason, detail):
            move(delivery, Move(DeliveryState.DROPPED, reason, detail), now=now)
        case Defer(until, reason, detail):
            move(delivery, Move(DeliveryState.PLANNED, reason, detail, until), now=now)
            if reason in PASSING:
                table.situation.waiting.append((delivery.priority, message_of(delivery)))
    return None


def _proceed(delivery: Delivery, table: _Table) -> Claim | None:
    """Render, then claim. A ghost takes the same way; only the hand-off is left out."""
    now = table.now
    locales = (table.learner.locale, delivery.enrollment.course.locale)
    text = table.cache.texts.choose(delivery.step.template, locales)
    channel = table.cache.channels[delivery.channel]
    address = table.situation.addresses[delivery.channel]
    try:
        draft = draft_of(delivery, text, table.learner, address, now=now)
        message = channel.compose(draft)
    except ValueError as error:
        failed = Move(DeliveryState.FAILED, RENDER_ERROR, str(error)[:300])
        move(delivery, failed, now=now, template_text=text)
        return None
    table.situation.counted.append(Counted(message_of(delivery), now, delivery.pk))
    values = {"template_text": text, "address": address, "claimed_at": now}
    if delivery.ghost:
        move(delivery, Move(DeliveryState.GHOST), now=now, **values)
        return None
    values["message_id"] = draft.message_id
    return _claim(delivery, message, table, values)


def _claim(delivery: Delivery, message: Any, table: _Table, values: dict[str, Any]) -> Claim:
    lease_until = table.now + LEASE
    move(
        delivery,
        Move(DeliveryState.CLAIMED),
        now=table.now,
        token=uuid4(),
        lease_until=lease_until,
        attempts=delivery.attempts + 1,
        **values,
    )
    return Claim(delivery, lease_until, table.cache.channels[delivery.channel], message)
