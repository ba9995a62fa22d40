"""Typed reading of environment variables. A missing or wrong variable stops the start."""

import os
from collections.abc import Callable
from email.errors import HeaderParseError
from email.headerregistry import Address
from email.utils import parseaddr
from typing import Any, TypeVar
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured
from django.http.request import split_domain_port, validate_host

T = TypeVar("T")

TRUE_WORDS = frozenset({"1", "true", "yes", "on"})
FALSE_WORDS = frozenset({"0", "false", "no", "off"})
POSTGRES_SCHEMES = frozenset({"postgres", "postgresql"})
SHORTEST_SECRET = 50
FEWEST_DIFFERENT_CHARACTERS = 10
REDIS_SCHEMES = frozenset({"redis", "rediss", "unix"})


class SettingsError(ImproperlyConfigured):
    """A setting is missing or wrong. The message says what to do."""


def text(name: str, *, default: str | None = None) -> str:
    """Return the variable without surrounding spaces. Without a default it is required."""
    # An empty variable counts as missing: `SECRET_KEY=` in a deployment file is a forgotten value.
    value = os.environ.get(name, "").strip()
    if value:
        return value
    if default is None:
        raise SettingsError(f"{name} is not set. Set this environment variable and start again.")
    return default


def flag(name: str, *, default: bool) -> bool:
    """Return a yes-or-no variable."""
    return _converted(name, _to_flag, "yes or no", default=default)


def whole_number(name: str, *, default: int) -> int:
    """Return a variable that is a whole number of at least 0."""
    return _converted(name, _to_whole_number, "a whole number, 0 or more", default=default)


def choice(name: str, options: tuple[str, ...], *, default: str) -> str:
    """Return a variable that is one of the options."""
    value = text(name, default=default)
    if value not in options:
        raise _wrong(name, value, f"one of {', '.join(options)}")
    return value


def words(name: str, *, default: list[str] | None = None) -> list[str]:
    """Return a comma-separated variable as a list. Without a default it is required."""
    value = text(name, default=None if default is None else ",".join(default))
    return [word.strip() for word in value.split(",") if word.strip()]


def host_names(name: str) -> list[str]:
    """Return the required host names of the site. A wildcard is refused."""
    names = words(name)
    if "*" in names:
        # With a wildcard, a forged Host header could get into links in mails.
        raise _wrong(name, "*", "the names of the site, like courses.example.org")
    return names


def secret(name: str, *, default: str | None = None) -> str:
    """Return a secret that is hard to guess. Without a default it is required."""
    value = text(name, default=default)
    if value == default:
        return value
    if len(value) < SHORTEST_SECRET or len(set(value)) < FEWEST_DIFFERENT_CHARACTERS:
        raise _wrong(name, "too easy to guess", f"{SHORTEST_SECRET} or more random characters")
    return value


def secure_web_address(name: str, *, hosts: list[str]) -> str:
    """Return a required https address at one of the hosts, without a trailing slash."""
    value = web_address(name, hosts=hosts)
    if not value.startswith("https://"):
        raise _wrong(name, value, "an address like https://courses.example.org")
    return value


def web_address(name: str, *, hosts: list[str], default: str | None = None) -> str:
    """Return an http or https address at one of the hosts, without a trailing slash."""
    value = text(name, default=default)
    shown = _without_password(value)
    if not _is_web_address(value):
        raise _wrong(name, shown, "an address like https://courses.example.org")
    # Pages answer only at the names in ALLOWED_HOSTS, so other links would not work.
    if not validate_host(split_domain_port(urlsplit(value).netloc)[0], hosts):
        raise _wrong(name, shown, "an address whose host is in ALLOWED_HOSTS")
    return value.rstrip("/")


def mail_address(name: str, *, default: str | None = None) -> str:
    """Return a mail address, as `ana@example.org` or `Ana <ana@example.org>`.

    It is empty only if the default is empty.
    """
    value = text(name, default=default)
    if value and not _is_mail_address(value):
        raise _wrong(name, value, "a mail address like Courses <courses@example.org>")
    return value


def database(name: str) -> dict[str, Any]:
    """Return Django's settings of one PostgreSQL database from an address.

    The address is like `postgresql://user:password@host:5432/name?sslmode=require`, or for a unix
    socket `postgresql://user@/name?host=/folder`.
    """
    value = text(name)
    url = _split(name, value, POSTGRES_SCHEMES, "postgresql://user:password@host:5432/name")
    options = dict(parse_qsl(url.query))
    database_name = unquote(url.path.lstrip("/"))
    if not database_name:
        raise _wrong(name, _without_password(value), "an address that ends in a database name")
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": database_name,
        "USER": unquote(url.username or options.pop("user", "")),
        "PASSWORD": unquote(url.password or options.pop("password", "")),
        "HOST": options.pop("host", "") or unquote(url.hostname or ""),
        "PORT": str(options.pop("port", "") or url.port or ""),
        "OPTIONS": options,
    }


def with_session_setting(at: dict[str, Any], name: str, value: str) -> dict[str, Any]:
    """Return database settings whose connections start with this PostgreSQL setting."""
    options = dict(at["OPTIONS"])
    # Options from the address come last, because PostgreSQL uses the last of two equal settings.
    options["options"] = f"-c {name}={value} {options.get('options', '')}".strip()
    return at | {"OPTIONS": options}


def redis_address(name: str) -> str:
    """Return the address of a Redis or Valkey server, also as `unix:///folder/valkey.sock`."""
    value = text(name)
    _split(name, value, REDIS_SCHEMES, "redis://host:6379/0")
    return value


def _converted(name: str, convert: Callable[[str], T], wanted: str, *, default: T) -> T:
    value = text(name, default="")
    if not value:
        return default
    try:
        return convert(value)
    except ValueError:
        raise _wrong(name, value, wanted) from None


def _to_flag(value: str) -> bool:
    word = value.lower()
    if word not in TRUE_WORDS | FALSE_WORDS:
        raise ValueError(value)
    return word in TRUE_WORDS


def _to_whole_number(value: str) -> int:
    number = int(value)
    if number < 0:
        raise ValueError(value)
    return number


def _is_web_address(value: str) -> bool:
    # Page paths are appended, so nothing may follow the path. A user name and password before the
    # host would be sent to everybody in links.
    if set(value) & set("?#@\\ "):
        return False
    try:
        url = urlsplit(value)
        port_fits = url.port is None or url.port > 0
    except ValueError:
        return False
    return url.scheme in {"http", "https"} and bool(url.hostname) and port_fits


def _is_mail_address(value: str) -> bool:
    try:
        return bool(Address(addr_spec=parseaddr(value)[1]).domain)
    except (HeaderParseError, ValueError, IndexError):
        return False


def _split(name: str, value: str, schemes: frozenset[str], example: str) -> SplitResult:
    try:
        url = urlsplit(value)
        port_fits = url.port is None or url.port > 0
    except ValueError:
        port_fits = False
    if not port_fits or url.scheme not in schemes:
        raise _wrong(name, _without_password(value), f"an address like {example}")
    return url


def _without_password(value: str) -> str:
    # The sentence goes to logs, and the part before the last @ may hold a password.
    return f"...@{value.rpartition('@')[2]}" if "@" in value else value


def _wrong(name: str, value: str, wanted: str) -> SettingsError:
    return SettingsError(f"{name} is {value!r}, but must be {wanted}. Correct it and start again.")
