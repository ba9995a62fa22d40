"""The addresses that a monitor asks, answered before anything that may need the database."""

from collections.abc import Callable
from ipaddress import ip_address

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.cache import add_never_cache_headers
from django.utils.crypto import constant_time_compare
from django.views.decorators.http import require_safe

from config.health.check import health
from config.health.metrics import CONTENT_TYPE_LATEST, metrics_of
from config.health.page import health_page

# What a proxy adds to a request that it passes on. Then the machine that connects is the proxy's,
# and says nothing of who asks.
PASSED_ON = (
    "X-Forwarded-For",
    "X-Forwarded-Host",
    "X-Forwarded-Proto",
    "X-Real-IP",
    "Forwarded",
    "Via",
)


@require_safe
def metrics_page(request: HttpRequest) -> HttpResponse:
    """Answer Prometheus, on this machine or with the token.

    How many messages a course sends, and how many fail, is nobody else's business, and the metrics
    name the machines of the workers. With METRICS_TOKEN everybody has to send it; without it, only
    what runs on this machine may ask, and not through a proxy, which may ask for anybody.
    """
    if not _may_read_metrics(request):
        return HttpResponse(
            "Only this machine may read the metrics, or who sends METRICS_TOKEN as a bearer"
            " token.\n",
            status=403,
            content_type="text/plain; charset=utf-8",
        )
    return HttpResponse(metrics_of(health()), content_type=CONTENT_TYPE_LATEST)


def _may_read_metrics(request: HttpRequest) -> bool:
    if settings.METRICS_TOKEN:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        is_right = constant_time_compare(token.strip(), settings.METRICS_TOKEN)
        return is_right and scheme.lower() == "bearer"
    return _is_this_machine(request.META.get("REMOTE_ADDR", "")) and not any(
        name in request.headers for name in PASSED_ON
    )


def _is_this_machine(address: str) -> bool:
    try:
        return ip_address(address).is_loopback
    except ValueError:
        # Behind a unix socket there is no address: whoever connects may be a proxy.
        return False


PAGES: dict[str, Callable[[HttpRequest], HttpResponse]] = {
    "/health": health_page,
    "/metrics": metrics_page,
}


class MonitoringMiddleware:
    """Answers what a monitor asks; the first of all.

    A monitor comes by an address of the machine, which is no host name of the site, and without
    TLS: the checks of both would refuse it, or lead it to another address. Sessions and users are
    in the database, which may be what is away.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer, or pass on what is none of ours."""
        page = PAGES.get(request.path_info.rstrip("/"))
        if page is None:
            return self._get_response(request)
        response = page(request)
        add_never_cache_headers(response)
        response["X-Content-Type-Options"] = "nosniff"
        response["X-Frame-Options"] = "DENY"
        return response
