"""Count messages of the ledger by what became of them."""

from dataclasses import dataclass
from typing import Any

from django.db.models import Count, QuerySet

from interventions.models import DeliveryState


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


def ledger_counts(rows: QuerySet[Any]) -> list[StateCount]:
    """Return the numbers of the messages by state and reason. They add up to all rows. One query.

    The rows must come from `with_reasons`.
    """
    counted = rows.order_by().values_list("state", "reason_now").annotate(number=Count("pk"))
    by_state: dict[str, list[ReasonCount]] = {}
    for state, reason, number in counted:
        by_state.setdefault(state, []).append(ReasonCount(reason, number))
    return [_state(state, by_state[state]) for state in DeliveryState if state in by_state]


def _state(state: DeliveryState, reasons: list[ReasonCount]) -> StateCount:
    ordered = sorted(reasons, key=lambda each: (-each.number, each.reason))
    return StateCount(state, sum(each.number for each in reasons), ordered)
