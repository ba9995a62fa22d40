"""Make and change the secrets that are shared with other servers."""

import base64
from datetime import datetime, timedelta
from secrets import token_bytes

from django.db import transaction

from common.dates import instant_text
from interventions.models import CourseSite, WebhookEndpoint
from interventions.operations.errors import InterventionError

# The other server has a day to learn the new secret.
OLD_SECRET_LASTS = timedelta(days=1)
_BYTES = 32
TOO_EARLY = (
    "Nothing was changed. Until {} the secret before this one is valid too, so that the receivers "
    "can change theirs. A second change would end that at once. Change it again after that."
)
# The prefix of Standard Webhooks, by which programs that look for leaked secrets know one.
_PREFIX = "whsec_"


def new_secret() -> str:
    """Return a random secret: 32 bytes, as HS256 needs at least (RFC 7518, 3.2)."""
    return _PREFIX + base64.b64encode(token_bytes(_BYTES)).decode()


@transaction.atomic
def renew_secret(row: CourseSite | WebhookEndpoint, *, now: datetime) -> str:
    """Give the site or endpoint a new secret and return it. The old one is valid for a day.

    Raise InterventionError during that day: there is room for one old secret.
    """
    locked = type(row)._default_manager.select_for_update(no_key=True).get(pk=row.pk)
    if locked.old_secret_until is not None and locked.old_secret_until > now:
        until = instant_text(locked.old_secret_until, zone=row.shown_zone)
        raise InterventionError(TOO_EARLY.format(until))
    locked.old_secret, locked.secret = locked.secret, new_secret()
    locked.old_secret_until = now + OLD_SECRET_LASTS
    locked.save(update_fields=["old_secret", "secret", "old_secret_until"])
    return locked.secret
