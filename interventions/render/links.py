"""Signed links for learners without login. They never expire, because mails are kept for years."""

from dataclasses import dataclass
from urllib.parse import urlsplit
from uuid import UUID

from django.conf import settings
from django.core.signing import BadSignature, Signer
from django.urls import reverse

_SALT = "interventions.learner-link"


@dataclass(frozen=True)
class LinkOwner:
    """The learner and enrollment of a link, and the message that contained it."""

    learner_id: int
    enrollment_id: int
    delivery_key: UUID


def make_token(owner: LinkOwner) -> str:
    """Return the signed text of a link. It is valid even without the delivery's row."""
    return Signer(salt=_SALT).sign_object(
        [owner.learner_id, owner.enrollment_id, owner.delivery_key.hex]
    )


def read_token(token: str) -> LinkOwner | None:
    """Return the owner, or None for a token that is incomplete or not signed by this site."""
    try:
        learner_id, enrollment_id, key = Signer(salt=_SALT).unsign_object(token)
    except (BadSignature, ValueError):
        return None
    return LinkOwner(learner_id, enrollment_id, UUID(key))


def site_host() -> str:
    """Return the host name of the site."""
    return urlsplit(settings.BASE_URL).hostname or "localhost"


def unsubscribe_url(token: str) -> str:
    """Return the URL of the unsubscribe link and the List-Unsubscribe header."""
    return f"{settings.BASE_URL}{reverse('interventions:unsubscribe', args=[token])}"


def preferences_url(token: str) -> str:
    """Return the URL of the learner's preference page."""
    return f"{settings.BASE_URL}{reverse('interventions:preferences', args=[token])}"
