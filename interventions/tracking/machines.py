"""Tell opens and clicks of people from those of programs. Pure.

Mail servers follow links to look for malware, and Apple Mail loads pictures without anybody
reading. No sign is certain, so nothing branches on clicks by default.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

# Nobody opens, reads and clicks a mail within this time after its hand-off.
TOO_SOON = timedelta(seconds=10)
# Nobody follows two links of one mail within this time.
AT_ONCE = timedelta(seconds=3)

# Words in the names of programs that fetch links: scanners, previews, libraries. A Cubot is a
# phone.
_PROGRAM = re.compile(
    r"(?<!cu)bot\b|bot/|crawl|spider|scan|preview|fetch|monitor|headless|proofpoint|barracuda|mimecast"
    r"|safelinks|symantec|messagelabs|trendmicro|fortinet|facebookexternalhit|whatsapp"
    r"|ms-office|microsoft office|curl/|wget/|python|go-http-client|java/|okhttp|libwww|ruby|perl"
    r"|node-fetch|axios|httpclient|phantomjs",
    re.IGNORECASE,
)
# Apple Mail's proxy names itself by this alone.
_APPLE = "Mozilla/5.0"


@dataclass(frozen=True)
class Follow:
    """One use of a link of a message."""

    message: int
    link: str
    at: datetime


def is_machine(provider: str, raw: Mapping[str, Any], user_agent: str) -> bool:
    """Return whether the provider, or the name of the program, says that nobody was there.

    A provider that gives no name of the program says nothing.
    """
    return _says_so(provider, raw) or user_agent == _APPLE or bool(_PROGRAM.search(user_agent))


def is_program(user_agent: str, *, method: str) -> bool:
    """Return whether a request of one of our own links came from a program. Browsers use GET."""
    name = user_agent.strip()
    return method != "GET" or name in ("", _APPLE) or bool(_PROGRAM.search(name))


def is_too_soon(at: datetime, *, handed_off_at: datetime | None) -> bool:
    """Return whether it happened too soon after the hand-off to be a person."""
    return handed_off_at is not None and at - handed_off_at < TOO_SOON


def at_once(follows: Iterable[Follow]) -> set[Follow]:
    """Return the uses of a link beside which another link of the message was used."""
    found: set[Follow] = set()
    recent: list[Follow] = []
    for each in sorted(follows, key=lambda follow: (follow.message, follow.at, follow.link)):
        recent = [
            other
            for other in recent
            if other.message == each.message and each.at - other.at <= AT_ONCE
        ]
        others = [other for other in recent if other.link != each.link]
        if others:
            found |= {each, *others}
        recent.append(each)
    return found


def _says_so(provider: str, raw: Mapping[str, Any]) -> bool:
    match provider:
        case "brevo":
            return raw.get("event") in ("proxy_open", "unique_proxy_open")
        case "sendgrid":
            return raw.get("sg_machine_open") is True
        case "mailgun":
            data = raw.get("event-data")
            client = data.get("client-info") if isinstance(data, Mapping) else None
            return isinstance(client, Mapping) and bool(client.get("bot"))
        case "sparkpost":
            bodies = raw.get("msys")
            found = bodies.values() if isinstance(bodies, Mapping) else ()
            return any(isinstance(each, Mapping) and _is_prefetched(each) for each in found)
    return False


def _is_prefetched(event: Mapping[str, Any]) -> bool:
    program = event.get("user_agent_parsed")
    inside = isinstance(program, Mapping) and program.get("is_prefetched") is True
    return inside or event.get("is_prefetched") is True
