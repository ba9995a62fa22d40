"""Failed logins: counted by name and address, logged, and locked out for a while."""

from ipaddress import IPv6Address, ip_address, ip_network
from math import ceil
from typing import Any

from axes.handlers.database import AxesDatabaseHandler
from django.conf import settings
from django.contrib.auth import get_user_model
from django.db.models import Sum
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

# A client with one IPv6 address usually has all addresses with the same first 64 bits.
_IPV6_NETWORK = 64


class TwoLimits(AxesDatabaseHandler):  # type: ignore[misc]
    """Counts of failures in the database, with separate limits per name and per address."""

    def get_failures(self, request: HttpRequest, credentials: dict[str, Any] | None = None) -> int:
        """Return the failures with the name from the address. A locked address returns the limit.

        Failures older than the lockout time do not count.
        """
        of_name, of_address = (
            attempts.aggregate(failures=Sum("failures_since_start"))["failures"] or 0
            for attempts in self.get_user_attempts(request, credentials)
        )
        if of_address >= settings.ADDRESS_FAILURE_LIMIT:
            return int(settings.AXES_FAILURE_LIMIT)
        return of_name

    def reset_user_attempts(
        self, request: HttpRequest, credentials: dict[str, Any] | None = None
    ) -> int:
        """Forget the failures with the name from the address after a successful login."""
        # Failures with other names stay, or an attacker with an account could guess for ever.
        of_name, _ = self.filter_user_attempts(request, credentials)
        deleted: int = of_name.delete()[0]
        return deleted


def client_address(request: HttpRequest) -> str | None:
    """Return the client address of a login, for IPv6 its network, or None."""
    text = request.META.get("REMOTE_ADDR", "")
    if settings.TRUSTED_PROXIES:
        # Each proxy appends its client's address. Earlier entries come from the client itself.
        hops = request.META.get("HTTP_X_FORWARDED_FOR", "").split(",")
        text = hops[-settings.TRUSTED_PROXIES] if len(hops) >= settings.TRUSTED_PROXIES else text
    return _countable(text.strip()) or _countable(request.META.get("REMOTE_ADDR", ""))


def _countable(text: str) -> str | None:
    try:
        address = ip_address(text)
    except ValueError:
        return None
    if not isinstance(address, IPv6Address):
        return str(address)
    if address.ipv4_mapped:
        return str(address.ipv4_mapped)
    return str(ip_network((int(address), _IPV6_NETWORK), strict=False).network_address)


def client_words(username: str | None, ip_address: str | None, *_: Any) -> str:
    """Return name and address of a failed login for the log."""
    # An unknown name is not logged, because it may be a password in the wrong field.
    known = username and get_user_model().objects.filter(username=username).exists()
    name = repr(username) if known else "a name that no account has"
    return f"{name} from {ip_address or 'an unknown address'}"


def locked_out(
    request: HttpRequest, response: HttpResponse, credentials: dict[str, Any] | None
) -> HttpResponse:
    """Answer a locked-out login with 429 and a page that shows the lockout time."""
    seconds = ceil(settings.AXES_COOLOFF_TIME.total_seconds())
    context = {"minutes": ceil(seconds / 60)}
    page = render(request, "config/locked_out.html", context, status=429)
    page["Retry-After"] = str(seconds)
    page["Cache-Control"] = "no-store"
    return page
