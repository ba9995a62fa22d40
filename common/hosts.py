"""Hosts and addresses of requests, in the form in which requests and browsers write them. Pure."""

import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import urlsplit

import idna

# Browsers and requests leave out the usual port of a scheme.
USUAL_PORTS = {"https": 443, "http": 80}
# urlsplit drops some of these without a word, and a request can hold none of them.
_BLANK = re.compile(r"[\0- \x7f]")
_NAME = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*\.?")


@dataclass(frozen=True)
class Target:
    """Where a request to an URL goes. All of it can be written into a request."""

    is_secure: bool
    host: str
    port: int
    path: str


def ascii_domain(domain: str) -> str:
    """Return the domain in ASCII by IDNA 2008. Raise ValueError if it has no such form.

    In IDNA 2008, straße and strasse are two domains (RFC 5891).
    """
    if domain.isascii():
        return domain
    # UTS 46 maps capitals and full-width letters to the form that IDNA requires. Python's own
    # codec implements IDNA 2003: it writes ß as ss, which is somebody else's domain.
    return idna.encode(domain, uts46=True).decode("ascii")


def ascii_host(host: str) -> str:
    """Return the host of an URL in small letters and ASCII, or an IPv6 address without brackets.

    Raise ValueError if it is neither a name nor an address.
    """
    if ":" in host:
        address = ipaddress.IPv6Address(host)
        if address.scope_id is not None:
            raise ValueError(f"{host[:80]} names a network card of one machine")
        return str(address)
    name = ascii_domain(host).lower()
    # The standard library refuses longer parts of a name when it looks the name up.
    if not _NAME.fullmatch(name) or max(map(len, name.split("."))) > 63:
        raise ValueError(f"{host[:80]} is not the name of a host")
    return name


def target_of(url: str) -> Target:
    """Return where a request to the URL goes. Raise ValueError if no request can hold it."""
    parts = urlsplit(url)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    if _BLANK.search(url) or not path.isascii():
        raise ValueError("the address has a letter that must be written with a percent sign")
    if parts.scheme not in USUAL_PORTS:
        raise ValueError("the address does not begin with https://")
    port = USUAL_PORTS[parts.scheme] if parts.port is None else parts.port
    if not port:
        raise ValueError("the port 0 stands for none")
    return Target(parts.scheme == "https", ascii_host(parts.hostname or ""), port, path)
