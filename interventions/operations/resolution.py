"""What staff decide on messages that the engine cannot help: in doubt, or failed."""

from datetime import datetime

from django.db import transaction

from interventions.channels import CHANNELS
from interventions.models import Delivery, DeliveryState, RunStatus
from interventions.operations.errors import InterventionError
from interventions.operations.finish import write_sent_event
from interventions.operations.ledger import Move, move

BY_STAFF = "by_staff"


@transaction.atomic
def resolve_in_doubt(delivery_id: int, *, accepted: bool, now: datetime) -> None:
    """Say, as staff, whether a message in doubt had been accepted. Raise InterventionError."""
    found = Delivery.objects.get(pk=delivery_id)
    if accepted:
        write_sent_event(found, verb=CHANNELS[found.channel].verb, now=now)
    delivery = _lock(delivery_id, DeliveryState.IN_DOUBT)
    if delivery is None:
        raise InterventionError("The message is not in doubt any more.")
    if accepted:
        move(delivery, Move(DeliveryState.HANDED_OFF, BY_STAFF), now=now)
    else:
        # Staff know it of every copy: none is in the learner's mailbox, and no cap counts one.
        failed = Move(DeliveryState.FAILED, BY_STAFF)
        move(delivery, failed, now=now, doubted=False, claimed_at=None)


@transaction.atomic
def retry_failed(delivery_id: int, *, now: datetime) -> None:
    """Plan a failed message again, with its attempts counted anew. Raise InterventionError.

    All that may keep a message from going out is asked about again.
    """
    delivery = _lock(delivery_id, DeliveryState.FAILED)
    if delivery is None:
        raise InterventionError("The message has not failed, or not any more.")
    if delivery.expires_at <= now:
        raise InterventionError("The message is too old to be sent: it has expired.")
    if delivery.run.status == RunStatus.EXITED:
        raise InterventionError(
            "The learner's run has ended: the message has no occasion any more."
        )
    again = Move(DeliveryState.PLANNED, BY_STAFF, until=now)
    move(delivery, again, now=now, attempts=0, finished_at=None)


def _lock(delivery_id: int, state: DeliveryState) -> Delivery | None:
    rows = Delivery.objects.filter(pk=delivery_id, state=state).select_related("run")
    return rows.select_for_update(no_key=True, of=("self",)).first()
