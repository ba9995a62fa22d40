"""The answer to a request that needs a row locked by another transaction."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase

from common.database import is_held


class BusyMiddleware:
    """Answers 503 if another transaction locks a row of the page for too long."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Pass the request on."""
        return self._get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        """Answer with a sentence. Leave every other error to Django."""
        if not is_held(error):
            return None
        sentence = "Another user is changing the same data. Nothing was saved. Please try again."
        return HttpResponse(
            f"{sentence}\n",
            status=503,
            content_type="text/plain; charset=utf-8",
            headers={"Retry-After": "10"},
        )
