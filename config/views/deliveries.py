"""The numbers above the list of deliveries: by state and reason, for the filters in force."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.decorators import staff_member_required
from django.contrib.auth.decorators import permission_required
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from django_htmx.middleware import HtmxDetails

from common.clock import utc_now
from config.views.counting import ASKED, count_or_kept
from experiments.reporting.reasons import reason_text
from interventions.admin.ledger_filters import NO_REASON, ReasonNowFilter
from interventions.models import Delivery, DeliveryState
from interventions.queries.ledger_counts import ReasonCount, StateCount, ledger_counts

STATE, REASON = "state__exact", ReasonNowFilter.parameter_name
# What a message without a reason waits for, where the state alone does not say it.
WITHOUT_REASON = {DeliveryState.PLANNED: "their time has not come"}


@dataclass(frozen=True)
class Number:
    """A number of messages with its words and the address of its rows."""

    words: str
    number: int
    address: str
    is_chosen: bool


@dataclass(frozen=True)
class StateNumbers:
    """The number of a state, and the numbers of its reasons."""

    whole: Number
    reasons: list[Number]


@never_cache
@require_safe
@staff_member_required
@permission_required("interventions.view_delivery", raise_exception=True)
def delivery_counts(request: HttpRequest) -> HttpResponse:
    """Count the messages of the list with the same filters, but for state and reason."""
    try:
        count = count_or_kept(request, [], lambda: ledger_counts(_rows(request), now=utc_now()))
    except IncorrectLookupParameters:
        return redirect("delivery-counts")
    states = [_state(each, request.GET) for each in count.found or ()]
    shown = {
        "count": count,
        "states": states,
        "total": sum(state.whole.number for state in states),
        "has_filters": bool(_others(request.GET)),
        "is_narrowed": STATE in request.GET or REASON in request.GET,
        "all_address": _address(request.GET, {}),
    }
    part = "config/delivery_counts.html"
    page = "config/delivery_counts_page.html"
    return render(request, part if HtmxDetails(request) else page, shown)


def _rows(request: HttpRequest) -> Any:
    page: Any = admin.site.get_model_admin(Delivery)
    return page.filtered_rows(request, without={STATE, REASON, ASKED})


def _state(found: StateCount, asked: QueryDict) -> StateNumbers:
    chosen = asked.get(STATE) == found.state
    words = str(found.state.label).capitalize()
    whole = Number(
        words, found.number, _address(asked, {STATE: found.state}), chosen and REASON not in asked
    )
    return StateNumbers(whole, list(_reasons(found, asked)))


def _reasons(found: StateCount, asked: QueryDict) -> Iterator[Number]:
    """Yield the reasons, unless there is none for any message of the state."""
    if [each.reason for each in found.reasons] == [""]:
        return
    for each in found.reasons:
        narrowed = {STATE: str(found.state), REASON: each.reason or NO_REASON}
        is_chosen = all(asked.get(name) == value for name, value in narrowed.items())
        yield Number(_why(found, each), each.number, _address(asked, narrowed), is_chosen)


def _why(found: StateCount, each: ReasonCount) -> str:
    if each.reason:
        return reason_text(each.reason)
    return WITHOUT_REASON.get(found.state, "no reason is stored")


def _address(asked: QueryDict, narrowed: dict[str, str]) -> str:
    """Return the address of the list with the other filters, narrowed to a state and a reason."""
    query = _others(asked)
    for name, value in narrowed.items():
        query[name] = value
    return f"{reverse('admin:interventions_delivery_changelist')}?{query.urlencode()}"


def _others(asked: QueryDict) -> QueryDict:
    query = asked.copy()
    # Another list begins on its first page.
    for name in (STATE, REASON, ASKED, "p", "o", "all"):
        query.pop(name, None)
    return query
