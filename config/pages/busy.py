"""The answer to a request that needs what somebody else holds."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase

from common.database import is_held


class BusyMiddleware:
    """Answers 503 where a row that the page needs was held for too long by somebody else."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Pass the request on."""
        return self._get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        """Say so in a sentence; leave every other error to Django."""
        if not is_held(error):
            return None
        sentence = "Somebody else is changing the same just now. Nothing was saved: try again."
        return HttpResponse(
            f"{sentence}\n",
            status=503,
            content_type="text/plain; charset=utf-8",
            headers={"Retry-After": "10"},
        )
