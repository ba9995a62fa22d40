"""Signed links for learners without login. They never expire: mails are read years later."""

from dataclasses import dataclass
from urllib.parse import urlsplit
from uuid import UUID

from django.conf import settings
from django.core.signing import BadSignature, Signer
from django.urls import reverse

_SALT = "interventions.learner-link"


@dataclass(frozen=True)
class LinkOwner:
    """Whose link it is, and which message carried it."""

    learner_id: int
    enrollment_id: int
    delivery_key: UUID


def make_token(owner: LinkOwner) -> str:
    """Return the signed text of a link. It holds on its own, without the delivery's row."""
    return Signer(salt=_SALT).sign_object(
        [owner.learner_id, owner.enrollment_id, owner.delivery_key.hex]
    )


def read_token(token: str) -> LinkOwner | None:
    """Return the owner, or None for a token that we did not sign or that was cut off."""
    try:
        learner_id, enrollment_id, key = Signer(salt=_SALT).unsign_object(token)
    except (BadSignature, ValueError):
        return None
    return LinkOwner(learner_id, enrollment_id, UUID(key))


def site_host() -> str:
    """Return the name under which the site is reached."""
    return urlsplit(settings.BASE_URL).hostname or "localhost"


def unsubscribe_url(token: str) -> str:
    """Return the address behind the unsubscribe link and the List-Unsubscribe header."""
    return f"{settings.BASE_URL}{reverse('interventions:unsubscribe', args=[token])}"


def preferences_url(token: str) -> str:
    """Return the address of the learner's preference page."""
    return f"{settings.BASE_URL}{reverse('interventions:preferences', args=[token])}"
