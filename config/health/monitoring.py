"""The pages for monitors, which answer before any middleware that may need the database."""

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

# Headers that a proxy adds. With one of them the connection comes from the proxy, and the address
# does not tell which machine made the request.
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
    """Return the metrics to Prometheus, on this machine or with the token.

    The numbers of sent and failed messages are not public, and the metrics name the machines of the
    workers. If METRICS_TOKEN is set, every request must send it. Otherwise only requests from this
    machine are allowed, and none through a proxy.
    """
    if not _may_read_metrics(request):
        return HttpResponse(
            "You can read the metrics only on this machine, or with METRICS_TOKEN as a bearer"
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
        # A unix socket has no address, and the client may be a proxy.
        return False


PAGES: dict[str, Callable[[HttpRequest], HttpResponse]] = {
    "/health": health_page,
    "/metrics": metrics_page,
}


class MonitoringMiddleware:
    """Answers monitors. It must be the first middleware.

    A monitor uses the machine's address, which is not a host name of the site, and no TLS. Other
    middleware would refuse or redirect it. Sessions and users need the database, which may be down.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer a monitor's page. Pass on any other request."""
        page = PAGES.get(request.path_info.rstrip("/"))
        if page is None:
            return self._get_response(request)
        response = page(request)
        add_never_cache_headers(response)
        response["X-Content-Type-Options"] = "nosniff"
        response["X-Frame-Options"] = "DENY"
        return response
