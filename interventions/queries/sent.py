"""Messages as they were sent."""

from activity.access import Viewer, for_user
from interventions.models import SentMessage
from interventions.queries.learner_messages import RELATED

_DELIVERY = tuple(f"delivery__{name}" for name in ("learner", *RELATED))


def sent_message(delivery_id: int, *, viewer: Viewer) -> SentMessage | None:
    """Return the message of the delivery with what the pages tell of it. One query."""
    rows = SentMessage.objects.filter(pk=delivery_id).select_related("page", *_DELIVERY)
    return for_user(rows, viewer).first()


def has_sent_message(delivery_id: int) -> bool:
    """Return whether the message of the delivery was kept. One query."""
    return SentMessage.objects.filter(pk=delivery_id).exists()
