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
_FRAME = (_PART, _REASON, _CHOOSE, _STOP)
# The reasons of the shipped cadences. Staff write others in the language of their course.
REASONS = (
    gettext_noop("you have been active on at least three days of the last week"),
    gettext_noop("some of the last two weeks' work is still open, or was hard"),
    gettext_noop("you have not been in the course for a week"),
    gettext_noop("you do very well in the quizzes"),
    gettext_noop(
        "in the last two weeks you opened pages, videos or files and tried few or none of the "
        "quizzes"
    ),
)
# The categories of a new site, as policy/guards.py has them. Staff name others as they like.
CATEGORY_WORDS = (
    gettext_noop("Next steps"),
    gettext_noop("The next steps in the course, and help with difficult parts."),
    gettext_noop("Extras"),
    gettext_noop("Further reading and tasks for learners who do well."),
)
SENTENCES = (*_FRAME, *REASONS, *CATEGORY_WORDS)


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
        part, reason, choose, stop = map(gettext, _FRAME)
    is_from_the_right = locale.partition("-")[0].lower() in settings.LANGUAGES_BIDI
    return MailWords(part, reason, choose, stop, "rtl" if is_from_the_right else "ltr")


def reason_in(locale: str, reason: str, *, written_in: str) -> str:
    """Return a cadence's reason for a text in the locale, or an empty text.

    A reason of staff is said only in the language in which it was written ("" if unknown).
    """
    if reason in REASONS:
        with translation.override(language_of(locale)):
            return gettext(reason)
    is_same = not written_in or _language(written_in) == _language(locale)
    return reason if is_same else ""


def category_text(text: str) -> str:
    """Return the name or description of a category in the active language, if we have words."""
    return gettext(text) if text in CATEGORY_WORDS else text


def has_own_words(locale: str) -> bool:
    """Return whether the locale's language has our own words."""
    return _language(language_of(locale)) == _language(locale)


def _language(locale: str) -> str:
    return locale.replace("_", "-").partition("-")[0].lower()


def language_of(locale: str) -> str:
    """Return the language of our own words for a text in the locale."""
    try:
        return get_supported_language_variant(locale)
    except LookupError:
        return settings.LANGUAGE_CODE
