"""The events of learners, and the signals of single events in plain Python. Pure.

It is written from the definitions and not from the compiler, so that the proof finds faults.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from activity.models import Enrollment, Item
from activity.verbs import NOT_ACTS
from segmentation.signals import SignalValue


@dataclass(frozen=True)
class Act:
    """Something a learner did, or an event of a message, which is no act."""

    enrollment: Enrollment
    verb: str
    occurred_at: datetime
    item: Item | None = None
    count: int = 1
    score: float | None = None
    value: Decimal | None = None
    properties: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_act(self) -> bool:
        return self.verb not in NOT_ACTS


class LogReading:
    """One enrollment's events up to an instant, and the signals of single events."""

    log: list[Act]
    day: date
    as_of: datetime
    local_day: Callable[[datetime], date]
    days_since: Callable[[Sequence[datetime]], float]

    def events(self, verb: str, window: int | None) -> list[Act]:
        """Return the events with the verb in the last N days, acts or not."""
        oldest = date.min if window is None else self.day - timedelta(days=window - 1)
        return [
            act
            for act in self.log
            if act.verb == verb and self.local_day(act.occurred_at) >= oldest
        ]

    def messages_sent(self, window: int) -> SignalValue:
        return sum(event.count for event in self.events("EMAIL_SENT", window))

    def messages_opened(self, window: int) -> SignalValue:
        return sum(event.count for event in self.events("EMAIL_OPENED", window))

    def messages_clicked(self, window: int) -> SignalValue:
        return sum(event.count for event in self.events("EMAIL_CLICKED", window))

    def event_count(self, window: int | None, verb: str, *filters: str) -> SignalValue:
        return sum(event.count for event in self.events(verb, window) if fits(event, filters))

    def event_sum(self, window: int | None, verb: str, *filters: str) -> SignalValue:
        found = [event for event in self.events(verb, window) if fits(event, filters)]
        return float(sum((event.value for event in found if event.value is not None), Decimal(0)))

    def days_since_event(self, _: int | None, verb: str, *filters: str) -> SignalValue:
        found = [event.occurred_at for event in self.events(verb, None) if fits(event, filters)]
        return self.days_since(found)

    def days_since_first_event(self, _: int | None, verb: str, *filters: str) -> SignalValue:
        found = [event.occurred_at for event in self.events(verb, None) if fits(event, filters)]
        return (self.as_of - min(found)).total_seconds() / 86_400 if found else None

    def sequence(self, window: int, verb: str, without: str) -> SignalValue:
        found = self.events(verb, window)
        begin = min((event.occurred_at for event in found), default=None)
        broken = [
            event
            for event in self.events(without, window)
            if begin is not None and event.occurred_at >= begin
        ]
        return 0 if broken else sum(event.count for event in found)


def fits(event: Act, filters: Sequence[str]) -> bool:
    """Return whether the event passes the filters. An empty text filters nothing."""
    key, kind, topic, path, equals = filters
    item = event.item
    modules = [each for each in (item and item.parent,) if each and each.kind == "module"]
    if key and key not in [each.key for each in (item, *modules) if each]:
        return False
    if (kind and (not item or item.kind != kind)) or (topic and (not item or item.topic != topic)):
        return False
    return not path or as_text(found_at(event.properties, path.split("."))) == equals


def found_at(properties: Any, names: Sequence[str]) -> Any:
    """Return what lies at the path, or None. A number names a place of a list."""
    for name in names:
        if isinstance(properties, dict):
            properties = properties.get(name)
        elif isinstance(properties, list) and name.lstrip("-").isdigit():
            place = int(name)
            inside = -len(properties) <= place < len(properties)
            properties = properties[place] if inside else None
        else:
            return None
    return properties


def as_text(value: Any) -> str | None:
    """Return a text as it is, and anything else as JSON. A null is nothing."""
    return value if value is None or isinstance(value, str) else json.dumps(value)
