"""Make the draft of a due delivery, from which its channel composes the message."""

from dataclasses import dataclass, replace
from datetime import datetime

from activity.models import Learner
from interventions.channels import Draft
from interventions.models import Delivery, TemplateText
from interventions.render.context import MessageContext
from interventions.render.links import site_host
from interventions.render.liquid import TemplateError


@dataclass(frozen=True)
class Recipient:
    """A learner and their address on the channel."""

    learner: Learner
    address: str


def draft_of(
    delivery: Delivery,
    text: TemplateText | None,
    to: Recipient,
    context: MessageContext,
    *,
    now: datetime,
) -> Draft:
    """Return the draft of the message from loaded rows. Raise TemplateError without a text."""
    if text is None:
        raise TemplateError("The template has no text in the learner's language or in English.")
    return Draft(
        delivery=delivery,
        learner=to.learner,
        text=text,
        context=context if context.locale == text.locale else replace(context, locale=text.locale),
        address=to.address,
        message_id=delivery.message_id or f"<{delivery.key}@{site_host()}>",
        written_at=now,
    )
