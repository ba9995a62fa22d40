"""Signed links for learners without login. They never expire, because mails are kept for years."""

from dataclasses import dataclass
from functools import cache
from urllib.parse import urlsplit
from uuid import UUID

from django.conf import settings
from django.core.signing import BadSignature, Signer
from django.urls import get_script_prefix, reverse

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
    return _url("interventions:unsubscribe", token)


def preferences_url(token: str) -> str:
    """Return the URL of the learner's preference page."""
    return _url("interventions:preferences", token)


def _url(name: str, token: str) -> str:
    # Finding the path takes longer than signing the token, and each message has two links. A token
    # has no character that a path would escape.
    before, after = _around_the_token(name, get_script_prefix())
    return f"{settings.BASE_URL}{before}{token}{after}"


@cache
def _around_the_token(name: str, prefix: str) -> tuple[str, str]:
    """Return the path up to its token and behind it. `reverse` itself begins with the prefix."""
    before, _, after = reverse(name, args=["TOKEN"]).removeprefix(prefix).partition("TOKEN")
    return f"{prefix}{before}", after
