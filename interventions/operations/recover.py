"""The recover stage: claims whose worker is gone, messages to send again, early events, edits."""

from datetime import datetime

from django.db import transaction
from django.db.models import QuerySet

from activity.operations import replay_rejected, settle_edits
from interventions.errors import InterventionError
from interventions.models import Delivery, DeliveryState, InDoubtPolicy
from interventions.operations.finish import MAX_ATTEMPTS, retry_at, write_sent_event
from interventions.operations.ledger import Move, move

BATCH = 500
LEASE_EXPIRED = "lease_expired"
SENT_AGAIN = "sent_again"
BY_STAFF = "by_staff"


def recover(*, now: datetime) -> None:
    """Bring back what was left lying. Safe to run at any time and by several workers at once."""
    while _expire_leases(now) == BATCH:
        continue
    while _plan_again(now) == BATCH:
        continue
    replay_rejected(now=now)
    settle_edits(now=now)


@transaction.atomic
def settle_in_doubt(delivery_id: int, *, accepted: bool, now: datetime) -> None:
    """Say, as staff, whether a message in doubt had been accepted. Raise InterventionError."""
    found = Delivery.objects.get(pk=delivery_id)
    if accepted:
        write_sent_event(found.enrollment_id, found.message_id, now=now)
    delivery = _locked(Delivery.objects.filter(pk=delivery_id)).first()
    if delivery is None:
        raise InterventionError("The message is not in doubt any more.")
    if accepted:
        move(delivery, Move(DeliveryState.HANDED_OFF, BY_STAFF), now=now)
    else:
        # Staff know it of every copy: none is in the learner's mailbox, and no cap counts one.
        failed = Move(DeliveryState.FAILED, BY_STAFF)
        move(delivery, failed, now=now, doubted=False, claimed_at=None)


@transaction.atomic
def _expire_leases(now: datetime) -> int:
    rows = Delivery.objects.filter(state=DeliveryState.CLAIMED, lease_until__lte=now)
    claimed = rows.select_related("run").select_for_update(
        no_key=True, skip_locked=True, of=("self",)
    )
    expired = list(claimed.order_by("lease_until", "pk")[:BATCH])
    for delivery in expired:
        # The worker died, or hangs, between the claim and the record: nobody knows what the mail
        # server took. The token stays, so that a worker that only was slow can still say.
        move(delivery, Move(DeliveryState.IN_DOUBT, LEASE_EXPIRED), now=now)
    return len(expired)


@transaction.atomic
def _plan_again(now: datetime) -> int:
    rows = Delivery.objects.filter(
        category__in_doubt_policy=InDoubtPolicy.PREFER_DELIVERY, attempts__lt=MAX_ATTEMPTS
    )
    doubtful = list(_locked(rows, skip=True).order_by("pk")[:BATCH])
    for delivery in doubtful:
        until = retry_at(delivery.attempts, now=now)
        move(delivery, Move(DeliveryState.PLANNED, SENT_AGAIN, until=until), now=now)
    return len(doubtful)


def _locked(rows: QuerySet[Delivery], *, skip: bool = False) -> QuerySet[Delivery]:
    in_doubt = rows.filter(state=DeliveryState.IN_DOUBT).select_related("run")
    return in_doubt.select_for_update(no_key=True, skip_locked=skip, of=("self",))
