"""The in-app messages of a learner, for the site of a course with a signed token."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import jwt
from django.db.models import Exists, Q, QuerySet

from activity.models import Learner, PendingNo
from common.addresses import comparable
from common.stored_text import unstorable
from interventions.models import (
    CadenceStatus,
    CourseSite,
    InAppMessage,
    LearnerPause,
    SitePause,
)
from interventions.queries.preferences import wanted_of

ALGORITHM = "HS256"
# A token that is copied somewhere must end soon. The site's server signs a new one at each visit.
LONGEST_TOKEN = timedelta(days=1)
# The clocks of two servers may differ a little.
CLOCK_DIFFERENCE = timedelta(seconds=30)
MOST_SHOWN = 20


class TokenError(Exception):
    """The token does not prove who the learner is. The message is a sentence."""


@dataclass(frozen=True)
class SiteReader:
    """The learner of a token, and the site that signed it."""

    site: CourseSite
    learner: Learner


def reader_of_token(token: str, *, now: datetime) -> SiteReader:
    """Return the learner of the token. Raise TokenError. Two queries."""
    site = _site(token)
    claims = _claims(token, site, now)
    _check_expiry(claims, now)
    learner = _learner(claims.get("external_id"))
    if learner is None:
        raise TokenError("The token names no known learner in external_id.")
    return SiteReader(site, learner)


def _learner(external_id: object) -> Learner | None:
    if not isinstance(external_id, str) or unstorable(external_id):
        return None
    return Learner.objects.filter(external_id=external_id).first()


def _site(token: str) -> CourseSite:
    try:
        kid = UUID(str(jwt.get_unverified_header(token).get("kid")))
    except (jwt.InvalidTokenError, ValueError):
        raise TokenError(
            "Send a token of the course site whose header has its key as kid."
        ) from None
    site = CourseSite.objects.filter(key=kid, active=True).first()
    if site is None:
        raise TokenError("The key of the course site is not known, or the site is switched off.")
    return site


def _claims(token: str, site: CourseSite, now: datetime) -> Mapping[str, Any]:
    # The times are checked below, by the clock that is given.
    options: Any = {"verify_exp": False, "verify_nbf": False, "verify_iat": False}
    for secret in site.secrets_at(now):
        try:
            claims: Mapping[str, Any] = jwt.decode(
                token, secret, algorithms=[ALGORITHM], options=options
            )
        except jwt.InvalidTokenError:
            continue
        return claims
    raise TokenError("The token is not signed with the secret of the course site.")


def _check_expiry(claims: Mapping[str, Any], now: datetime) -> None:
    expires = claims.get("exp")
    if isinstance(expires, bool) or not isinstance(expires, int | float):
        raise TokenError("The token needs the second of its expiry in exp.")
    # Comparing is exact. To calculate with it would fail on an integer that no float can hold.
    if not expires > (now - CLOCK_DIFFERENCE).timestamp():
        raise TokenError("The token has expired.")
    if expires > (now + LONGEST_TOKEN + CLOCK_DIFFERENCE).timestamp():
        raise TokenError("The token is valid for more than one day. Sign one that ends sooner.")


def messages_of(reader: SiteReader) -> QuerySet[InAppMessage]:
    """Return all messages of the reader that the site may show, whatever their state."""
    rows = InAppMessage.objects.filter(learner=reader.learner)
    course = reader.site.course_id
    if course is not None:
        return rows.filter(enrollment__course=course)
    # Courses with a site of their own are not shown by the shared one, even while theirs is off.
    with_own = CourseSite.objects.filter(course__isnull=False).values("course")
    return rows.exclude(enrollment__course__in=with_own)


def shown_messages(reader: SiteReader, *, now: datetime) -> list[InAppMessage]:
    """Return the messages to show now, the newest first. At most four queries.

    A no holds for what waits here too: nothing is shown that the learner does not want any more.
    So does a pause: staff who stop a wrong text expect that nobody reads it from then on.
    """
    mailbox = comparable(reader.learner.email or "")
    said_no = Q(learner=reader.learner) | Q(mailbox=mailbox or None)
    if PendingNo.objects.filter(said_no).exists():
        return []
    stays = Q(enrollment__withdrew_at=None) | Q(enrollment__withdrew_at__gt=now)
    rows = messages_of(reader).filter(
        stays,
        _not_held(reader.learner),
        dismissed_at=None,
        expires_at__gt=now,
        delivery__category__in=wanted_of(reader.learner.pk, mailbox),
    )
    joined = rows.select_related("delivery", "enrollment__course")
    return list(joined.order_by("-sent_at", "-pk")[:MOST_SHOWN])


def _not_held(learner: Learner) -> Q:
    """Return the condition that staff hold nothing that concerns the message."""
    cadence = "delivery__run__cadence"
    return (
        ~Q(Exists(SitePause.objects.filter(paused=True)))
        & ~Q(Exists(LearnerPause.objects.filter(learner=learner, ended_at=None)))
        & Q(enrollment__course__live_since__isnull=False)
        & Q(**{f"{cadence}__paused": False, f"{cadence}__status": CadenceStatus.ACTIVE})
    )


def origins_allowed() -> set[str]:
    """Return the origins of all active sites. One query."""
    lists = CourseSite.objects.filter(active=True).values_list("origins", flat=True)
    return {origin for origins in lists for origin in origins}
