"""Check and save the endpoints of webhooks."""

from urllib.parse import urlsplit

from django.conf import settings
from django.db import transaction

from common.hosts import target_of
from interventions.models import WebhookEndpoint
from interventions.operations.errors import InterventionError
from interventions.operations.secrets import new_secret


def check_webhook_url(url: str) -> None:
    """Raise InterventionError with a sentence if no webhook may be sent to the address.

    The IP address behind a name is checked at each request, because it may change.
    """
    try:
        is_secure = target_of(url).is_secure
    except ValueError:
        is_secure = None
    if is_secure is None or not (is_secure or settings.WEBHOOKS_TO_PRIVATE_ADDRESSES):
        raise InterventionError(
            "Write a complete address that begins with https://, such as "
            "https://courses.example.org/nudgelab. Spaces and letters such as é in the part after "
            "the host must be written as %20 and %C3%A9.",
            field="url",
        )
    parts = urlsplit(url)
    if "@" in parts.netloc or parts.fragment:
        raise InterventionError(
            "Write the address without a user name, a password and a part after #. The signature "
            "of each message is the proof that it comes from here.",
            field="url",
        )


@transaction.atomic
def save_endpoint(endpoint: WebhookEndpoint) -> str:
    """Save the endpoint. Return the secret of a new one, which is shown only now; else "".

    An endpoint that is switched on again begins without failures.
    """
    is_new = endpoint.pk is None
    check_webhook_url(endpoint.url)
    if is_new:
        endpoint.secret = new_secret()
    if endpoint.active:
        endpoint.failures, endpoint.down_until, endpoint.disabled_at = 0, None, None
        endpoint.last_error = ""
    endpoint.save()
    return endpoint.secret if is_new else ""
