"""Reports of Amazon SES without boto3, which anymail needs only to confirm a subscription."""

import json
import logging
from typing import Any

from anymail.webhooks.amazon_ses import AmazonSESBaseWebhookView, AmazonSESTrackingWebhookView
from django.http import HttpRequest

log = logging.getLogger(__name__)


class AmazonSesWebhookView(AmazonSESTrackingWebhookView):  # type: ignore[misc]
    """Reads notifications of Amazon SNS. An operator confirms the subscription."""

    def __init__(self, **options: Any) -> None:
        """Pass over anymail's own beginning, which would ask for boto3."""
        self.auto_confirm_enabled = False
        super(AmazonSESBaseWebhookView, self).__init__(**options)

    def parse_events(self, request: HttpRequest) -> list[Any]:
        """Return the events. Log the address that confirms a new subscription."""
        message = json.loads(request.body)
        if message.get("Type") == "SubscriptionConfirmation":
            # The login has shown that the topic is ours. To follow the address ourselves, we would
            # have to trust it.
            address = message.get("SubscribeURL")
            log.warning("To confirm the topic of Amazon SNS, open %s", address)
        events: list[Any] = super().parse_events(request)
        return events
