"""A learner's preferences, for the learner's own page."""

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

from django.db.models import Q

from activity.models import Course, Learner
from common.addresses import comparable
from interventions.models import Category, Consent, ConsentState
from interventions.policy.consent import ConsentStatement, is_wanted
from interventions.queries.texts import first_in
from interventions.render.words import category_text


@dataclass(frozen=True)
class Preference:
    """One line of the preference page."""

    category: Category
    is_wanted: bool
    name: str
    description: str


@dataclass(frozen=True)
class Reader:
    """The learner who reads a page: in which language, and from which course the link came."""

    locale: str
    course: str


def reader_of(learner_id: int, enrollment_id: int) -> Reader | None:
    """Return the reader, or None if the learner no longer exists. Up to two queries."""
    locale = Learner.objects.filter(pk=learner_id).values_list("locale", flat=True).first()
    if locale is None:
        return None
    courses = Course.objects.filter(enrollments=enrollment_id, enrollments__learner=learner_id)
    course = courses.first()
    # The enrollment may have been deleted since the message.
    return Reader(locale or (course.locale if course else ""), course.title if course else "")


def mailbox_of(learner_id: int) -> str:
    """Return the learner's comparable address, empty without one. One query."""
    email = Learner.objects.filter(pk=learner_id).values_list("email", flat=True).first()
    return comparable(email or "")


def statements_of(learner_id: int | None, mailbox: str) -> list[ConsentStatement]:
    """Return all statements of the learner and of anybody with this mailbox. One query."""
    rows = Consent.objects.filter(Q(learner=learner_id) | Q(mailbox=mailbox or None))
    return [statement_of(row, mailbox) for row in rows]


def statement_of(row: Consent, mailbox: str) -> ConsentStatement:
    """Return the row as a statement of a learner whose present mailbox this is."""
    wants = row.state == ConsentState.IN
    return ConsentStatement(row.category_id, wants, row.changed_at, row.mailbox != mailbox)


def wanted_of(learner_id: int | None, mailbox: str) -> set[int]:
    """Return the ids of the categories that the learner gets. Two queries."""
    statements = statements_of(learner_id, mailbox)
    return {
        category.pk
        for category in Category.objects.all()
        if is_wanted(category.pk, statements, needs_opt_in=category.needs_opt_in)
    }


def preferences_of(learner_id: int, *, locale: str, language: str) -> list[Preference]:
    """Return every category, and whether the learner gets it. Five queries.

    Names are in the locale of the learner if staff have written them, else in the language of the
    page, else as the category itself is named.
    """
    wanted = wanted_of(learner_id, mailbox_of(learner_id))
    categories = Category.objects.prefetch_related("texts")
    found = [_preference(each, wanted, (locale, language)) for each in categories]
    # Each language has an order of its own.
    return sorted(found, key=lambda each: (_for_order(each.name), each.category.pk))


def _for_order(name: str) -> str:
    """Return the name with each accent after its letter: ä comes with a, not after z."""
    return unicodedata.normalize("NFKD", name.casefold())


def _preference(category: Category, wanted: set[int], locales: Iterable[str]) -> Preference:
    texts = {text.locale.lower(): text for text in category.texts.all()}
    text = first_in(texts, locales)
    is_wanted = category.pk in wanted
    if text is not None:
        # Without a description of its own, none: one in another language explains nothing.
        return Preference(category, is_wanted, text.name, text.description)
    name, about = category_text(category.name), category_text(category.description)
    return Preference(category, is_wanted, name, about)


def masked_address(learner_id: int) -> str:
    """Return the learner's address, mostly hidden, because links get forwarded. One query."""
    email = Learner.objects.filter(pk=learner_id).values_list("email", flat=True).first()
    name, at, domain = (email or "").partition("@")
    return f"{name[:1]}•••{at}{domain}" if at else ""
