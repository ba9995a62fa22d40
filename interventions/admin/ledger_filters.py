"""Filters and search of the ledger that stay quick at a million messages."""

from operator import itemgetter
from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.contrib.filters.admin import DropdownFilter

from activity.access import for_user
from activity.models import Enrollment
from activity.queries import learner_ids
from common.clock import utc_now
from common.stored_text import without_nul
from experiments.reporting.reasons import REASONS
from interventions.models import DeliveryState
from interventions.policy.decision import Reason
from interventions.queries.holds import HOLD_REASONS, hold_condition

# A search looks at so many learners. A name such as "Smith" may belong to thousands.
MOST_LEARNERS = 200
WHOSE = (
    f"The beginning of a name, an address or a whole id of a learner. At most {MOST_LEARNERS} "
    "learners are looked at."
)
NO_REASON = "none"


class ReasonNowFilter(DropdownFilter):
    """A filter by the reason that holds now, in words."""

    title = "reason"
    parameter_name = "reason"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Return the known reasons. A list of the stored reasons would read all rows."""
        return [(NO_REASON, "no reason"), *sorted(REASONS.items(), key=itemgetter(1))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Return the messages with the chosen reason."""
        value = self.value()
        if not value:
            return queryset
        reason = "" if value == NO_REASON else value
        # The stored column decides most rows before their course and cadence are looked up.
        if reason in HOLD_REASONS:
            held = hold_condition(Reason(reason), now=utc_now())
            return queryset.filter(held, state=DeliveryState.PLANNED, reason_now=reason)
        # The planner guesses that few rows have one `reason_now`, and would join all of them first.
        return queryset.filter(reason=reason).exclude(reason_now__in=HOLD_REASONS)


class FoundByLearner:
    """A list of messages that is searched by learner."""

    # It only opens the box. `get_search_results` searches by name, address and id.
    search_fields = ("enrollment__learner__external_id__exact",)
    search_help_text = WHOSE

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Return the messages of the learners with this name, address or id."""
        if not search_term.strip():
            return queryset, False
        return _messages_of_learners(queryset, search_term, request), False


def _messages_of_learners(rows: QuerySet[Any], text: str, request: HttpRequest) -> QuerySet[Any]:
    """Return the messages of the learners with this name, address or id. Two queries.

    The ledger has an index by enrollment but none by learner.
    """
    learners = _learners(text, request)[:MOST_LEARNERS]
    enrolled = for_user(Enrollment.objects.filter(learner__in=learners), request.user)
    return rows.filter(enrollment__in=list(enrolled.order_by().values_list("pk", flat=True)))


def too_many(text: str, request: HttpRequest) -> str:
    """Return a sentence if the search leaves learners out, else empty text. One query."""
    if not text or len(_learners(text, request)) <= MOST_LEARNERS:
        return ""
    return (
        f"More than {MOST_LEARNERS} learners have a name that begins with “{text}”. These are "
        f"the messages of {MOST_LEARNERS} of them. Type more of the name to see all."
    )


def _learners(text: str, request: HttpRequest) -> list[int]:
    return learner_ids(without_nul(text).strip(), viewer=request.user, most=MOST_LEARNERS + 1)
