"""What a learner does with in-app messages, and the sites that show them."""

from collections.abc import Iterable
from datetime import datetime
from urllib.parse import urlsplit
from uuid import UUID

from django.db import transaction

from activity.operations import append_own_event
from common.hosts import USUAL_PORTS, ascii_host
from interventions.models import CourseSite, InAppMessage
from interventions.operations.errors import InterventionError
from interventions.operations.secrets import new_secret
from interventions.queries.in_app import SiteReader, messages_of

MOST_ORIGINS = 50


@transaction.atomic
def see_in_app(reader: SiteReader, key: UUID, *, now: datetime) -> InAppMessage | None:
    """Note that the learner has seen the message. Return None if there is none for the reader."""
    return _note(reader, key, "seen_at", "IN_APP_SEEN", now)


@transaction.atomic
def dismiss_in_app(reader: SiteReader, key: UUID, *, now: datetime) -> InAppMessage | None:
    """Note that the learner wants the message off the page. Return None if there is none."""
    return _note(reader, key, "dismissed_at", "IN_APP_DISMISSED", now)


def _note(
    reader: SiteReader, key: UUID, field: str, verb: str, now: datetime
) -> InAppMessage | None:
    message = messages_of(reader).filter(delivery__key=key).first()
    if message is None or getattr(message, field) is not None:
        return message
    # The event comes first, because Due rows are locked before all that belongs to a delivery. It
    # counts once: a browser may send the request again.
    append_own_event(message.enrollment_id, verb, source_id=f"{verb}:{key}", now=now)
    InAppMessage.objects.filter(pk=message.pk, **{field: None}).update(**{field: now})
    setattr(message, field, now)
    return message


@transaction.atomic
def save_course_site(site: CourseSite) -> str:
    """Save the site. Return the secret of a new one, which is shown only now; else ""."""
    is_new = site.pk is None
    if is_new:
        site.secret = new_secret()
    site.save()
    return site.secret if is_new else ""


def checked_origins(given: Iterable[str]) -> list[str]:
    """Return the origins in the form in which browsers send them. Raise InterventionError."""
    found = [_origin(each.strip()) for each in given if each.strip()]
    if len(found) > MOST_ORIGINS:
        raise InterventionError(f"Enter at most {MOST_ORIGINS} addresses.", field="origins")
    return sorted(set(found))


def _origin(given: str) -> str:
    wrong = InterventionError(
        f"“{given[:80]}” is not the address of a site. Write it like https://courses.example.org, "
        "without a path.",
        field="origins",
    )
    try:
        parts = urlsplit(given)
        host, port = ascii_host(parts.hostname or ""), parts.port
    except ValueError:
        raise wrong from None
    if parts.scheme not in USUAL_PORTS or parts.path not in ("", "/") or port == 0:
        raise wrong
    if parts.query or parts.fragment or "@" in parts.netloc:
        raise wrong
    shown_port = "" if port in (None, USUAL_PORTS[parts.scheme]) else f":{port}"
    return f"{parts.scheme}://{f'[{host}]' if ':' in host else host}{shown_port}"
