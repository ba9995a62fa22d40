"""Show every time of a request in the zone of the course to which the user limits the lists."""

from collections.abc import Callable
from datetime import UTC, tzinfo
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.conf import settings
from django.http import HttpRequest, HttpResponseBase
from django.utils import timezone

from activity.switch import chosen_course


class CourseZoneMiddleware:
    """Sets the zone for the time of the request. Without a chosen course it stays UTC."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Return the response with its times in the course's zone."""
        with timezone.override(None):
            return self.get_response(request)

    def process_view(
        self, request: HttpRequest, view: Callable[..., Any], *_: object, **__: object
    ) -> None:
        """Set the zone. Pages of learners, which need no CSRF token, never open a session."""
        if getattr(view, "csrf_exempt", False):
            return
        has_session = settings.SESSION_COOKIE_NAME in request.COOKIES
        chosen = chosen_course(request) if has_session else None
        if chosen is not None:
            timezone.activate(_zone(chosen.time_zone))


def _zone(name: str) -> tzinfo:
    try:
        return ZoneInfo(name)
    except ZoneInfoNotFoundError:
        # A newer tzdata dropped the name. The page says so; it must not fail.
        return UTC
