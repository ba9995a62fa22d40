"""The features that not every channel has, and the check of a text for those that are missing."""

from collections.abc import Collection
from enum import StrEnum
from html.parser import HTMLParser

from interventions.render.liquid import TemplateError

_TABLE = frozenset({"table", "tbody", "td", "tfoot", "th", "thead", "tr"})


class Feature(StrEnum):
    """A feature of a channel. The value is its name in a sentence."""

    PICTURES = "pictures"
    TABLES = "tables"
    SEVERAL_LINKS = "more than one link"
    TRIALS = "test messages to staff"


# How the author of a text does without a feature.
_INSTEAD = {
    Feature.PICTURES: "Remove <img>.",
    Feature.TABLES: "Write a list instead.",
    Feature.SEVERAL_LINKS: "Keep the main one.",
}


def check_features(html: str, *, supports: Collection[Feature]) -> None:
    """Raise TemplateError with a sentence if the HTML needs a feature that is not supported.

    Dropping a picture, a table or a link silently would change the message.
    """
    reader = _TagReader()
    reader.feed(html)
    reader.close()
    needed = {
        Feature.PICTURES: "img" in reader.tags,
        Feature.TABLES: not _TABLE.isdisjoint(reader.tags),
        Feature.SEVERAL_LINKS: reader.tags.count("a") > 1,
    }
    for feature, is_needed in needed.items():
        if is_needed and feature not in supports:
            raise TemplateError(f"This channel does not show {feature}. {_INSTEAD[feature]}")


class _TagReader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
