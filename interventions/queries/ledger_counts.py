"""Count messages of the ledger by what became of them."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Count, QuerySet

from interventions.models import DeliveryState
from interventions.queries.holds import with_reasons


@dataclass(frozen=True)
class ReasonCount:
    """A reason, empty if there is none, and its number of messages."""

    reason: str
    number: int


@dataclass(frozen=True)
class StateCount:
    """A state with its number of messages, and the same by reason, the most frequent first."""

    state: DeliveryState
    number: int
    reasons: list[ReasonCount]


def ledger_counts(rows: QuerySet[Any], *, now: datetime) -> list[StateCount]:
    """Return the numbers of the messages by state and reason. They add up to all rows. Two queries.

    A planned message counts by the reason that holds now.
    """
    by_state: dict[str, list[ReasonCount]] = {}
    for state, reason, number in (*_waiting(rows, now), *_others(rows)):
        by_state.setdefault(state, []).append(ReasonCount(reason, number))
    return [_state(state, by_state[state]) for state in DeliveryState if state in by_state]


def _waiting(rows: QuerySet[Any], now: datetime) -> Any:
    planned = with_reasons(rows.order_by().filter(state=DeliveryState.PLANNED), now=now)
    return planned.values_list("state", "reason_now").annotate(number=Count("pk"))


def _others(rows: QuerySet[Any]) -> Any:
    # These are most. Nothing is looked up for each of them.
    over = rows.order_by().exclude(state=DeliveryState.PLANNED)
    return over.values_list("state", "reason").annotate(number=Count("pk"))


def _state(state: DeliveryState, reasons: list[ReasonCount]) -> StateCount:
    ordered = sorted(reasons, key=lambda each: (-each.number, each.reason))
    return StateCount(state, sum(each.number for each in reasons), ordered)
