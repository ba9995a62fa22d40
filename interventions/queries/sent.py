"""Messages as they were sent."""

from activity.access import Viewer, for_user
from interventions.models import ArchivedDelivery, SentMessage
from interventions.queries.learner_messages import RELATED

_DELIVERY = tuple(f"delivery__{name}" for name in ("learner", *RELATED))


def sent_message(delivery_id: int, *, viewer: Viewer) -> SentMessage | None:
    """Return the message of the delivery with what the pages tell of it.

    One query, and two more for a message of the archive.
    """
    rows = SentMessage.objects.filter(pk=delivery_id).select_related("page", *_DELIVERY)
    return for_user(rows, viewer).first() or _archived(delivery_id, viewer)


def _archived(delivery_id: int, viewer: Viewer) -> SentMessage | None:
    rows = ArchivedDelivery.objects.filter(pk=delivery_id)
    kept = for_user(rows.select_related("traced", "learner", *RELATED), viewer).first()
    if kept is None or kept.kept_trace is None:
        return None
    return kept.kept_trace.as_sent_message(kept.as_delivery())


def has_sent_message(delivery_id: int) -> bool:
    """Return whether the message of the delivery was kept. One query."""
    return SentMessage.objects.filter(pk=delivery_id).exists()
