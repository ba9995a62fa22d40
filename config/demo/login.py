"""The login demo/demo, whose password is public: where it works, and how to end it."""

from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.hashers import check_password
from django.http.request import split_domain_port

DEMO_NAME = "demo"
DEMO_PASSWORD = "demo"  # noqa: S105
NEW_PASSWORD = ".venv/bin/python manage.py changepassword demo"  # noqa: S105
# Headers that are set by proxies.
_PROXY_HEADERS = (
    "HTTP_FORWARDED",
    "HTTP_VIA",
    "HTTP_X_FORWARDED_FOR",
    "HTTP_X_FORWARDED_HOST",
    "HTTP_X_REAL_IP",
)


def create_demo_user() -> None:
    """Create the user of the demo, who must not exist yet."""
    get_user_model().objects.create_superuser(DEMO_NAME, "demo@nudgelab.example", DEMO_PASSWORD)


def demo_login_works() -> bool:
    """Return whether the user of the demo still has the public password."""
    user = get_user_model().objects.filter(username=DEMO_NAME, is_active=True).first()
    # Not the user's own method, which would save the password again if the hasher has changed.
    return user is not None and check_password(DEMO_PASSWORD, user.password)


def openness(host: str) -> list[str]:
    """Return the reasons why other machines can reach a web server at this address."""
    reasons = [] if settings.DEMO_LOGIN else ["these are production settings"]
    if not is_loopback(host):
        reasons.append(f"it listens at {host or 'every address'}")
    # A proxy in front of a server on this machine needs a name in ALLOWED_HOSTS or BASE_URL.
    names = [name for name in settings.ALLOWED_HOSTS if not is_loopback(name)]
    if names:
        reasons.append(f"ALLOWED_HOSTS names {', '.join(names)}")
    elif not is_loopback(urlsplit(settings.BASE_URL).hostname or ""):
        reasons.append(f"BASE_URL is {settings.BASE_URL}")
    return reasons


def comes_from_here(meta: Mapping[str, Any]) -> bool:
    """Return whether the request was made on this machine, to a local name."""
    if any(meta.get(header) for header in _PROXY_HEADERS):
        return False
    host = split_domain_port(meta.get("HTTP_HOST") or meta.get("SERVER_NAME", ""))[0]
    return is_loopback(meta.get("REMOTE_ADDR", "")) and is_loopback(host)


def is_loopback(host: str) -> bool:
    """Return whether only this machine can reach the name or address."""
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"
