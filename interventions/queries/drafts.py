"""Make the draft of a due delivery, from which its channel composes the message."""

from datetime import datetime

from activity.models import Learner
from interventions.channels import Draft
from interventions.models import Delivery, TemplateText
from interventions.queries.context import message_context
from interventions.render.links import site_host
from interventions.render.liquid import TemplateError


def draft_of(
    delivery: Delivery, text: TemplateText | None, learner: Learner, address: str, *, now: datetime
) -> Draft:
    """Return the draft of the message. One query. Raise TemplateError without a text."""
    if text is None:
        raise TemplateError("The template has no text in the learner's language or in English.")
    return Draft(
        delivery=delivery,
        learner=learner,
        text=text,
        context=message_context(delivery, learner, now=now),
        address=address,
        message_id=delivery.message_id or f"<{delivery.key}@{site_host()}>",
        written_at=now,
    )
