"""The recover stage: opt-outs, claims of lost workers, tasks, early events, edits, experiments."""

from datetime import datetime

from django.db import transaction
from django.db.models import Q

from activity.operations import ensure_zones, measure_feeds, replay_rejected, settle_edits
from common.database import passing_over_held
from experiments.operations import end_due, note_states_due, seal_due, snapshot_due
from interventions.channels import CHANNELS
from interventions.models import Delivery, DeliveryState, InDoubtPolicy
from interventions.operations.archive import archive_old
from interventions.operations.finish import MAX_ATTEMPTS, retry_at
from interventions.operations.kept_noes import apply_kept_noes
from interventions.operations.ledger import Move, move
from interventions.operations.noes import apply_noes
from interventions.operations.tasks import close_returned
from interventions.operations.tracking import act_on_waiting, hurry
from interventions.operations.tracking_retention import forget_old_events
from interventions.queries.arm_messages import received_by_arms

BATCH_SIZE = 500
# One minute of each hour is enough to forget, and not the first one, when much else is due. A beat
# is five seconds, and the next run has opt-outs to apply.
MINUTE_TO_FORGET = 17
SECONDS_TO_FORGET = 1.0
# The first move of a large ledger takes more. No note of the last look is needed, and any number of
# workers may do it.
MINUTES_TO_ARCHIVE = range(30, 40)
SECONDS_TO_ARCHIVE = 2.0
# Draws are sealed a few times an hour, so that an entry of the ledger holds more than a few.
MINUTES_TO_SEAL = range(7, 60, 10)
SECONDS_TO_SEAL = 1.0
# Each experiment is due once a day, and looking for one that is due is cheap.
MINUTES_TO_KEEP = range(50, 58)
SECONDS_TO_KEEP = 5.0
LEASE_EXPIRED = "lease_expired"
SENT_AGAIN = "sent_again"


def recover(*, now: datetime) -> None:
    """Finish work that was left unfinished. Several workers may run it at any time."""
    apply_kept_noes(now=now)
    while _expire_leases(now) == BATCH_SIZE:
        continue
    # After the leases and before messages are planned again: a provider may know more about one.
    with passing_over_held():
        act_on_waiting(now=now)
    apply_noes(now=now)
    while _plan_again(now) == BATCH_SIZE:
        continue
    while close_returned(now=now, limit=BATCH_SIZE) == BATCH_SIZE:
        continue
    # A locked row ends one of these two for this beat, and must not keep the other from running.
    with passing_over_held():
        replay_rejected(now=now)
    with passing_over_held():
        # A worker with a newer tzdata installs it. The days that it changes are edits.
        ensure_zones()
        settle_edits(now=now)
    with passing_over_held():
        measure_feeds(now=now)
    with passing_over_held():
        end_due(now=now)
    # Last, because nobody waits for them.
    if now.minute == MINUTE_TO_FORGET:
        with passing_over_held():
            forget_old_events(now=now, budget=SECONDS_TO_FORGET)
    if now.minute in MINUTES_TO_SEAL:
        with passing_over_held():
            seal_due(now=now, budget=SECONDS_TO_SEAL)
            note_states_due(now=now, budget=SECONDS_TO_SEAL, received=received_by_arms)
    if now.minute in MINUTES_TO_KEEP:
        with passing_over_held():
            snapshot_due(now=now, budget=SECONDS_TO_KEEP)
    if now.minute in MINUTES_TO_ARCHIVE:
        with passing_over_held():
            archive_old(now=now, budget=SECONDS_TO_ARCHIVE)


@transaction.atomic
def _expire_leases(now: datetime) -> int:
    rows = Delivery.objects.filter(state=DeliveryState.CLAIMED, lease_until__lte=now)
    claimed = rows.select_related("run").select_for_update(
        no_key=True, skip_locked=True, of=("self",)
    )
    expired = list(claimed.order_by("lease_until", "pk")[:BATCH_SIZE])
    for delivery in expired:
        _expire(delivery, now)
    hurry([delivery.pk for delivery in expired], now=now)
    return len(expired)


def _expire(delivery: Delivery, now: datetime) -> None:
    # The token stays, so that a slow worker can still record the answer.
    if CHANNELS[delivery.channel].is_local:
        # The record is the hand-off, so nothing was handed off.
        again = Move(DeliveryState.PLANNED, LEASE_EXPIRED, until=now)
        move(delivery, again, now=now, attempts=delivery.attempts - 1)
    else:
        # The worker died or hangs between the claim and the record, so it is not known whether the
        # message was accepted.
        move(delivery, Move(DeliveryState.IN_DOUBT, LEASE_EXPIRED), now=now)


@transaction.atomic
def _plan_again(now: datetime) -> int:
    # A receiver that knows a repeat by its id loses nothing by one.
    repeatable = [name for name, channel in CHANNELS.items() if channel.drops_repeats]
    prefers = Q(category__in_doubt_policy=InDoubtPolicy.PREFER_DELIVERY)
    rows = Delivery.objects.filter(
        prefers | Q(channel__in=repeatable),
        state=DeliveryState.IN_DOUBT,
        attempts__lt=MAX_ATTEMPTS,
        # A delivery with an end gets no other copy.
        finished_at__isnull=True,
    )
    locked = rows.select_related("run").select_for_update(
        no_key=True, skip_locked=True, of=("self",)
    )
    doubtful = list(locked.order_by("pk")[:BATCH_SIZE])
    for delivery in doubtful:
        until = retry_at(delivery.attempts, now=now)
        move(delivery, Move(DeliveryState.PLANNED, SENT_AGAIN, until=until), now=now)
    return len(doubtful)
