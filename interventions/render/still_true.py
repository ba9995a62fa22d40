"""Keep of the signals at an entry what is true of the learner now. Pure.

A message may go out days after the entry. Reading all signals again would cost a statement for each
course, so a message says less instead.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from common.clock import local_date
from interventions.render.why import is_number, shape_of

_DAY = timedelta(days=1)
_DAYS_SINCE = frozenset({"days_since_activity", "days_since_quiz_attempt"})


@dataclass(frozen=True)
class Entry:
    """When a segment was entered, and the learner's last act and last attempt up to now."""

    at: datetime
    last_act_at: datetime | None
    last_attempt_at: datetime | None

    def last(self, field: str) -> datetime | None:
        """Return the act since which the signal of this name counts the days."""
        return self.last_act_at if field == "days_since_activity" else self.last_attempt_at


def still_true(
    signals: Mapping[str, Any], entry: Entry, *, now: datetime, zone: str
) -> dict[str, Any]:
    """Return the signals, with None for each that may be another one now.

    Days since an act are counted up to now. Other signals hold until the next act, and those over
    the last days only on the local day of the entry.
    """
    today = local_date(now, zone)
    is_same_day = today == local_date(entry.at, zone)
    has_acted = entry.last_act_at is not None and entry.last_act_at > entry.at
    tried = entry.last_attempt_at
    days_since_try = None if tried is None else (today - local_date(tried, zone)).days
    found: dict[str, Any] = dict.fromkeys(signals)
    for identity, value in signals.items():
        shape = shape_of(identity)
        field, window = shape["field"], shape.get("window")
        if field in _DAYS_SINCE and is_number(value):
            found[identity] = _days_since(entry.last(field), entry.at - value * _DAY, now)
        elif has_acted or (window and not is_same_day):
            continue
        elif value != 0 or not _is_denied(field, window, days_since_try):
            found[identity] = value
    return found


def _days_since(last: datetime | None, then: datetime, now: datetime) -> float:
    return (now - (then if last is None else max(then, last))) / _DAY


def _is_denied(field: str, window: int | None, days_since_try: int | None) -> bool:
    """Return whether the signal says "no attempt", and one is known that arrived late."""
    asks = field in {"quiz_attempts", "quiz_attempt_rate"}
    return asks and days_since_try is not None and days_since_try < (window or 0)
