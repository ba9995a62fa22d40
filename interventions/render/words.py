"""The words that every mail has, in the language of its text."""

from dataclasses import dataclass
from functools import lru_cache

from django.conf import settings
from django.utils import translation
from django.utils.translation import get_supported_language_variant, gettext, gettext_noop

_PART = gettext_noop("You get this mail because you take part in %(course)s.")
_REASON = gettext_noop("It comes now because %(reason)s.")
_CHOOSE = gettext_noop("Choose what you get")
_STOP = gettext_noop("Unsubscribe")
SENTENCES = (_PART, _REASON, _CHOOSE, _STOP)


@dataclass(frozen=True)
class MailWords:
    """The words of the footer, and the direction in which the language is written."""

    takes_part: str
    reason: str
    choose: str
    stop: str
    direction: str


@lru_cache(maxsize=64)
def words_in(locale: str) -> MailWords:
    """Return the words in the language of the locale, or else in English."""
    with translation.override(language_of(locale)):
        part, reason, choose, stop = map(gettext, SENTENCES)
    is_from_the_right = locale.partition("-")[0].lower() in settings.LANGUAGES_BIDI
    return MailWords(part, reason, choose, stop, "rtl" if is_from_the_right else "ltr")


def language_of(locale: str) -> str:
    """Return the language of our own words for a text in the locale."""
    try:
        return get_supported_language_variant(locale)
    except LookupError:
        return settings.LANGUAGE_CODE
