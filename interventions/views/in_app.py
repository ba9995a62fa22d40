"""In-app messages for the pages of a course site. The token is the proof: no session, no cookie."""

from collections.abc import Callable
from functools import wraps
from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from common.clock import utc_now
from interventions import operations
from interventions.models import InAppMessage
from interventions.queries.in_app import (
    SiteReader,
    TokenError,
    origins_allowed,
    reader_of_token,
    shown_messages,
)
from interventions.render.links import LinkOwner, make_token, preferences_url

FORMAT = 1
SECONDS_TO_KEEP_PREFLIGHT = 600
_BEARER = "bearer "

SiteView = Callable[..., HttpResponse]


def of_course_site(view: SiteView) -> Any:
    """Pass the learner of the token to the view, and let the pages of the token's site read it.

    A page of another origin gets no answer that its browser would show to it.
    """

    @csrf_exempt
    @wraps(view)
    def answer(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if request.method == "OPTIONS":
            return _preflight(request)
        try:
            reader = reader_of_token(_token(request), now=utc_now())
        except TokenError as error:
            return _open_to(request, origins_allowed(), _refused(str(error), 401))
        origin = request.headers.get("Origin")
        if origin is not None and origin not in reader.site.origins:
            return _refused("The course site does not allow this origin.", 403)
        return _open_to(request, set(reader.site.origins), view(request, reader, *args, **kwargs))

    return answer


@never_cache
@require_http_methods(["GET", "HEAD", "OPTIONS"])
@of_course_site
def in_app_messages(request: HttpRequest, reader: SiteReader) -> HttpResponse:
    """List the messages to show now, the newest first."""
    found = shown_messages(reader, now=utc_now())
    return JsonResponse({"format": FORMAT, "messages": [_shown(each) for each in found]})


@never_cache
@require_http_methods(["POST", "OPTIONS"])
@of_course_site
def in_app_seen(request: HttpRequest, reader: SiteReader, key: UUID) -> HttpResponse:
    """Note that the learner has seen the message."""
    return _noted(operations.see_in_app(reader, key, now=utc_now()))


@never_cache
@require_http_methods(["POST", "OPTIONS"])
@of_course_site
def in_app_dismissed(request: HttpRequest, reader: SiteReader, key: UUID) -> HttpResponse:
    """Note that the learner wants the message off the page."""
    return _noted(operations.dismiss_in_app(reader, key, now=utc_now()))


def _token(request: HttpRequest) -> str:
    given = request.headers.get("Authorization", "")
    return given[len(_BEARER) :].strip() if given.lower().startswith(_BEARER) else ""


def _preflight(request: HttpRequest) -> HttpResponse:
    # A browser asks without the token. The answer says only that some course site has this origin.
    response = _open_to(request, origins_allowed(), HttpResponse(status=204))
    response["Access-Control-Allow-Methods"] = "GET, POST"
    response["Access-Control-Allow-Headers"] = "authorization"
    response["Access-Control-Max-Age"] = str(SECONDS_TO_KEEP_PREFLIGHT)
    return response


def _open_to(request: HttpRequest, origins: set[str], response: HttpResponse) -> HttpResponse:
    response["Vary"] = "Origin, Authorization"
    origin = request.headers.get("Origin")
    if origin in origins and origin is not None:
        response["Access-Control-Allow-Origin"] = origin
    return response


def _refused(sentence: str, status: int) -> HttpResponse:
    response = JsonResponse({"error": sentence}, status=status)
    if status == 401:
        response["WWW-Authenticate"] = "Bearer"
    return response


def _noted(message: InAppMessage | None) -> HttpResponse:
    if message is None:
        return _refused("There is no such message for this learner.", 404)
    return JsonResponse({"seen_at": message.seen_at, "dismissed_at": message.dismissed_at})


def _shown(message: InAppMessage) -> dict[str, Any]:
    link = {"url": message.link_url, "text": message.link_text} if message.link_url else None
    owner = LinkOwner(message.learner_id, message.enrollment_id, message.delivery.key)
    return {
        "id": message.delivery.key,
        "title": message.title,
        "html": message.html,
        "text": message.text,
        "link": link,
        "course": message.enrollment.course.key,
        "sent_at": message.sent_at,
        "expires_at": message.expires_at,
        "seen_at": message.seen_at,
        "preferences_url": preferences_url(make_token(owner)),
    }
