"""Pages for learners, with a signed link and without login."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from email.utils import parseaddr
from functools import wraps
from typing import Any

from django.conf import settings
from django.db import DatabaseError, InterfaceError
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.utils import translation
from django.utils.translation import (
    get_language,
    get_language_from_request,
    get_supported_language_variant,
)
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from common.clock import utc_now
from common.database import is_outage
from interventions import operations
from interventions.queries.preferences import Reader, masked_address, preferences_of, reader_of
from interventions.render.links import LinkOwner, read_token
from interventions.views.row_ids import row_id


@dataclass(frozen=True)
class Visit:
    """A visit by a signed link. `course` is the title of the course whose message had the link.

    `locale` is that of the learner, which may be none of the site's languages.
    """

    request: HttpRequest
    owner: LinkOwner
    token: str
    course: str = ""
    locale: str = ""

    def page(self, template: str, context: dict[str, Any], *, status: int = 200) -> HttpResponse:
        """Return the page in the language that is active."""
        shown = {"token": self.token, "course": self.course}
        return _page(template, shown | context, status=status)


LearnerView = Callable[[Visit], HttpResponse]

SECONDS_UNTIL_AGAIN = 120

log = logging.getLogger(__name__)


def learner_page(*, while_away: LearnerView) -> Callable[[LearnerView], Any]:
    """Return a decorator that passes the link's owner to the view.

    It answers broken links and links of deleted learners itself. While the database is down,
    `while_away` answers instead of the view.

    There is no session, login or CSRF token: the signed link is the proof, and mail providers post
    without them (RFC 8058).
    """

    def decorate(view: LearnerView) -> Any:
        @csrf_exempt
        @wraps(view)
        def with_owner(request: HttpRequest, token: str) -> HttpResponse:
            owner = read_token(token)
            # Until the learner is known, the browser says the language.
            with translation.override(get_language_from_request(request)):
                if owner is None:
                    response = broken_link()
                else:
                    response = _of_owner(Visit(request, owner, token), view, while_away)
            # The URL itself gives access to the page, so it must not leak.
            response["Referrer-Policy"] = "no-referrer"
            response["Cache-Control"] = "no-store"
            response["X-Robots-Tag"] = "noindex"
            return response

        return with_owner

    return decorate


def broken_link() -> HttpResponse:
    """Return the page of a link that is incomplete or not signed by this site."""
    return _page("interventions/broken_link.html", {}, status=404)


def _of_owner(visit: Visit, view: LearnerView, while_away: LearnerView) -> HttpResponse:
    try:
        reader = reader_of(visit.owner.learner_id, visit.owner.enrollment_id)
        if reader is None:
            status = _status_of_gone(visit.request)
            return visit.page("interventions/gone.html", {}, status=status)
        with translation.override(_language(reader)):
            return view(replace(visit, course=reader.course, locale=reader.locale))
    except (DatabaseError, InterfaceError) as error:
        if not is_outage(error):
            raise
        log.warning("The database is down during a request for a learner's page: %s", error)
        return while_away(visit)


def _language(reader: Reader) -> str:
    """Return the reader's language. Without a known one, it is that of the browser."""
    try:
        return get_supported_language_variant(reader.locale.replace("_", "-").lower())
    except LookupError:
        return _active_language()


def _active_language() -> str:
    return get_language() or settings.LANGUAGE_CODE


def _status_of_gone(request: HttpRequest) -> int:
    # A deleted learner who unsubscribes gets no more messages, so the request has succeeded.
    match = request.resolver_match
    asks_for_none = match is not None and match.url_name == "unsubscribe"
    return 200 if asks_for_none and request.method == "POST" else 410


def _unsubscribe_while_away(visit: Visit) -> HttpResponse:
    """Keep the opt-out for later. Confirm it only if it could be kept."""
    is_done = visit.request.method == "POST"
    if is_done:
        try:
            operations.keep_no(visit.owner, source=_source(visit.request), said_at=utc_now())
        except operations.NotKeptError as error:
            log.error("An opt-out could not be kept: %s", error)  # noqa: TRY400
            return _later(visit, can_stop=False)
    return visit.page("interventions/unsubscribe.html", {"is_done": is_done})


def _preferences_while_away(visit: Visit) -> HttpResponse:
    return _later(visit, can_stop=True)


def _later(visit: Visit, *, can_stop: bool) -> HttpResponse:
    response = visit.page("interventions/later.html", {"can_stop": can_stop}, status=503)
    response["Retry-After"] = str(SECONDS_UNTIL_AGAIN)
    return response


def _source(request: HttpRequest) -> str:
    return "page" if "page" in request.GET else "one_click"


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@learner_page(while_away=_unsubscribe_while_away)
def unsubscribe(visit: Visit) -> HttpResponse:
    """Ask on GET, because mail scanners follow links. Unsubscribe on POST, in one click.

    Only the token counts (RFC 8058). The body is never read: mail providers send bodies in any
    charset and form, and reading some of them would raise an error.
    """
    is_done = visit.request.method == "POST"
    if is_done:
        operations.unsubscribe(visit.owner, source=_source(visit.request), now=utc_now())
    context = {"is_done": is_done, "address": masked_address(visit.owner.learner_id)}
    return visit.page("interventions/unsubscribe.html", context)


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@learner_page(while_away=_preferences_while_away)
def preferences(visit: Visit) -> HttpResponse:
    """Show the categories with a tick at those that the learner wants, and save changes."""
    request, owner = visit.request, visit.owner
    if request.method == "POST":
        given = {row_id(each) for each in request.POST.getlist("category")}
        wanted = {each for each in given if each is not None}
        operations.save_preferences(owner, wanted=wanted, source="preferences", now=utc_now())
    context = {
        "is_done": request.method == "POST",
        "preferences": preferences_of(
            owner.learner_id, locale=visit.locale, language=_active_language()
        ),
        "address": masked_address(owner.learner_id),
    }
    return visit.page("interventions/preferences.html", context)


def _page(template: str, context: dict[str, Any], *, status: int = 200) -> HttpResponse:
    # Rendered without the request. With it, the page would open a session and show the staff menu.
    sender = parseaddr(settings.DEFAULT_FROM_EMAIL)[0]
    return HttpResponse(render_to_string(template, context | {"sender": sender}), status=status)
