"""Find the web links of a mail, for the mailbox page, on which the mail's own links do not work."""

import re
from dataclasses import dataclass
from html.parser import HTMLParser
from urllib.parse import urlsplit

_IN_TEXT = re.compile(r"https?://[^\s<>\"()\[\]]+", re.IGNORECASE)


@dataclass(frozen=True)
class FoundLink:
    """The address of a link and its visible text."""

    address: str
    words: str


def links_of(*, html: str, text: str) -> list[FoundLink]:
    """Return the http and https links of a mail in their order, each address once.

    They come from the HTML, or from the text if there is no HTML. Other schemes are left out,
    because a `javascript:` link would run with the rights of the staff member who follows it.
    """
    found = _in_html(html) if html else [FoundLink(each, each) for each in _IN_TEXT.findall(text)]
    first: dict[str, FoundLink] = {}
    for link in found:
        if _is_web(link.address):
            first.setdefault(link.address, link)
    return list(first.values())


def _in_html(html: str) -> list[FoundLink]:
    reader = _Reader()
    reader.feed(html)
    reader.close()
    return [FoundLink(address, " ".join(words.split()) or address) for address, words in reader.all]


def _is_web(address: str) -> bool:
    try:
        url = urlsplit(address)
    except ValueError:
        return False
    return url.scheme in {"http", "https"} and bool(url.hostname) and address.isprintable()


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.all: list[tuple[str, str]] = []
        self.is_inside = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "a":
            address = dict(attrs).get("href") or ""
            self.all.append((address.strip(), ""))
            self.is_inside = True

    def handle_endtag(self, tag: str) -> None:
        self.is_inside = self.is_inside and tag != "a"

    def handle_data(self, data: str) -> None:
        if self.is_inside:
            address, words = self.all[-1]
            self.all[-1] = (address, words + data)
