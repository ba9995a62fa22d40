"""Decisions of staff on messages in doubt and on failed messages."""

from datetime import datetime

from django.db import transaction

from interventions.channels import CHANNELS
from interventions.models import Delivery, DeliveryState, RunStatus
from interventions.operations.errors import InterventionError
from interventions.operations.finish import write_sent_events
from interventions.operations.ledger import Move, move
from segmentation.queries import reads_log

BY_STAFF = "by_staff"


@transaction.atomic
def resolve_in_doubt(delivery_id: int, *, accepted: bool, now: datetime) -> None:
    """Record the decision of staff whether a message in doubt was accepted.

    Raise InterventionError if it is no longer in doubt.
    """
    found = Delivery.objects.get(pk=delivery_id)
    if accepted:
        verbs = {found: CHANNELS[found.channel].verb}
        write_sent_events(verbs, now=now, is_read=reads_log())
    delivery = _lock(delivery_id, DeliveryState.IN_DOUBT)
    if delivery is None:
        raise InterventionError("The message is no longer in doubt.")
    if accepted:
        move(delivery, Move(DeliveryState.HANDED_OFF, BY_STAFF), now=now)
    else:
        # Staff decide for all copies: the learner has none, so no cap counts one.
        failed = Move(DeliveryState.FAILED, BY_STAFF)
        move(delivery, failed, now=now, doubted=False, claimed_at=None)


@transaction.atomic
def retry_failed(delivery_id: int, *, now: datetime) -> None:
    """Plan a failed message again, with its attempts reset. Raise InterventionError.

    The policy decides on it again.
    """
    delivery = _lock(delivery_id, DeliveryState.FAILED)
    if delivery is None:
        raise InterventionError("The message is not a failed message, or no longer.")
    if delivery.expires_at <= now:
        raise InterventionError("The message has expired, so it cannot be sent.")
    if delivery.run.status == RunStatus.EXITED:
        raise InterventionError("The learner's run has ended, so the message is no longer needed.")
    again = Move(DeliveryState.PLANNED, BY_STAFF, until=now)
    move(delivery, again, now=now, attempts=0, finished_at=None)


def _lock(delivery_id: int, state: DeliveryState) -> Delivery | None:
    rows = Delivery.objects.filter(pk=delivery_id, state=state).select_related("run")
    return rows.select_for_update(no_key=True, of=("self",)).first()
