"""Choose the text of a template for a learner."""

from collections.abc import Iterable, Mapping
from typing import TypeVar

from interventions.models import MessageTemplate, TemplateText

Text = TypeVar("Text")
DEFAULT_LOCALE = "en"


class TextCache:
    """The texts of templates, read once per version. The texts of a version never change."""

    def __init__(self) -> None:
        self._texts: dict[tuple[int, int], dict[str, TemplateText]] = {}

    def choose(self, template: MessageTemplate, locales: Iterable[str]) -> TemplateText | None:
        """Return the text in the first locale that exists, else in English, else None."""
        wanted = (template.pk, template.version)
        if wanted not in self._texts:
            found = TemplateText.objects.filter(template=template, version=template.version)
            self._texts[wanted] = {text.locale.lower(): text for text in found}
        return first_in(self._texts[wanted], [*locales, DEFAULT_LOCALE])


def first_in(texts: Mapping[str, Text], locales: Iterable[str]) -> Text | None:
    """Return the text of the first locale that has one, or None. Keys are in lower case."""
    for locale in locales:
        # For pt-BR the text in pt is used if there is no closer one.
        exact = locale.replace("_", "-").lower()
        for name in (exact, exact.partition("-")[0]):
            if name in texts:
                return texts[name]
    return None
