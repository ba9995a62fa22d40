"""Choose the text of a template for a learner."""

from collections.abc import Iterable, Mapping

from interventions.models import MessageTemplate, TemplateText

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
        return _first(self._texts[wanted], [*locales, DEFAULT_LOCALE])


def _first(texts: Mapping[str, TemplateText], locales: Iterable[str]) -> TemplateText | None:
    for locale in locales:
        # For pt-BR the text in pt is used if there is no closer one.
        exact = locale.replace("_", "-").lower()
        for name in (exact, exact.partition("-")[0]):
            if name in texts:
                return texts[name]
    return None
