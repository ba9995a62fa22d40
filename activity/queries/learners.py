"""Find learners by a name, an address or an id."""

import re
import unicodedata
from dataclasses import dataclass

from django.contrib.postgres.search import SearchQuery, SearchVectorField
from django.db.models import Func, Prefetch, Q, QuerySet

from activity.access import Viewer, for_user
from activity.models import Enrollment, Learner

MOST_FOUND = 50
_WORD = re.compile(r"[^\W_]+")


@dataclass(frozen=True)
class FoundLearners:
    """Learners with their enrollments, at most `MOST_FOUND`, and whether there are more."""

    learners: list[Learner]
    has_more: bool


class NameWords(Func):
    """The words of a name without accents and capitals, as in the index learner_by_words."""

    # Without its punctuation: PostgreSQL would read "anna.berg" as a host, "jean/luc" as a file and
    # the end of "kit-12" as a negative number, each as one word.
    template = (
        "to_tsvector('simple'::regconfig, regexp_replace("
        "regexp_replace(normalize(%(expressions)s, NFKD), '[\\u0300-\\u036f]', '', 'g'),"
        " '[!-/:-@[-`{-~\\u00a1-\\u00bf\\u2000-\\u206f]+', ' ', 'g'))"
    )
    output_field = SearchVectorField()


def find_learners(text: str, *, viewer: Viewer) -> FoundLearners:
    """Return the learners with this id or address, or with names that begin with these words.

    Letter case and accents of names do not matter. `enrollments` holds those that the viewer may
    see. Two queries; the first reads three indexes.
    """
    enrollments = for_user(Enrollment.objects.select_related("course"), viewer)
    matching = _matching(for_user(Learner.objects.order_by(), viewer), text)
    prefetch = Prefetch("enrollments", enrollments.order_by("-course__starts_on", "id"))
    # Sorted here, because the database would sort all matches of a short beginning.
    found = list(matching.prefetch_related(prefetch)[: MOST_FOUND + 1])
    shown = sorted(found[:MOST_FOUND], key=lambda each: (str(each).casefold(), each.external_id))
    return FoundLearners(shown, has_more=len(found) > MOST_FOUND)


def learner_ids(text: str, *, viewer: Viewer, most: int) -> list[int]:
    """Return the ids of the learners that `find_learners` would find, at most so many. One query.

    Which of them are left out is not defined.
    """
    matching = _matching(for_user(Learner.objects.order_by(), viewer), text)
    return list(matching.values_list("pk", flat=True)[:most])


def _matching(learners: QuerySet[Learner], text: str) -> QuerySet[Learner]:
    condition = Q(external_id=text) | Q(email__iexact=text)
    words = _words(text)
    if not words:
        return learners.filter(condition)
    each = " & ".join(f"{word}:*" for word in words)
    begins = SearchQuery(each, search_type="raw", config="simple")
    return learners.alias(words=NameWords("name")).filter(condition | Q(words=begins))


def _words(text: str) -> list[str]:
    plain = unicodedata.normalize("NFKD", text)
    return _WORD.findall("".join(char for char in plain if not "\u0300" <= char <= "\u036f"))
