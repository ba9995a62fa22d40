"""Frequency caps: from when on one more message fits. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from common.clock import local_date, local_midnight

# A calendar day can have 25 hours, and a zone that moves over the date line even more.
_LONGEST_DAY = timedelta(hours=49)


class Window(StrEnum):
    """What a cap counts over."""

    ROLLING_HOURS = "rolling_hours"
    ROLLING_DAYS = "rolling_days"
    CALENDAR_DAY = "calendar_day"
    CALENDAR_WEEK = "calendar_week"


@dataclass(frozen=True)
class Cap:
    """At most `limit` messages a learner in a window. A scope field that is None covers all."""

    name: str
    limit: int
    window: Window
    length: int = 1
    drops: bool = False
    channel: str | None = None
    category_id: int | None = None
    course_id: int | None = None


@dataclass(frozen=True)
class Message:
    """What the scope of a cap looks at."""

    channel: str
    category_id: int
    course_id: int


@dataclass(frozen=True)
class Counted:
    """A message that the learner got, may have got, or (a ghost) would have got."""

    message: Message
    at: datetime
    delivery_id: int | None = None


def covers(cap: Cap, message: Message) -> bool:
    """Return whether the cap speaks of this message."""
    return (
        cap.channel in (None, message.channel)
        and cap.category_id in (None, message.category_id)
        and cap.course_id in (None, message.course_id)
    )


def eligible_at(
    cap: Cap, counted: Iterable[Counted], *, now: datetime, zone: str
) -> datetime | None:
    """Return the first instant from now on at which one more message keeps the cap; None for never.

    A message leaves a rolling window of N hours exactly N hours after it was claimed; a day is 24
    hours. Calendar windows begin at local midnight, weeks on Monday.
    """
    if cap.limit == 0:
        return None
    instants = sorted((each.at for each in counted if covers(cap, each.message)), reverse=True)
    if len(instants) < cap.limit:
        return now
    # Of the `limit` latest messages the earliest has to leave the window. What was claimed by a
    # worker whose clock is ahead counts as well.
    return max(now, _leaves_at(instants[cap.limit - 1], cap, zone))


def horizon(cap: Cap) -> timedelta:
    """Return how far back messages can still count for this cap."""
    if cap.window in (Window.ROLLING_HOURS, Window.ROLLING_DAYS):
        return _rolling_length(cap)
    return _LONGEST_DAY if cap.window == Window.CALENDAR_DAY else timedelta(days=7) + _LONGEST_DAY


def _leaves_at(instant: datetime, cap: Cap, zone: str) -> datetime:
    if cap.window in (Window.ROLLING_HOURS, Window.ROLLING_DAYS):
        # In UTC: adding to a local time would add wall-clock hours over a clock change.
        return instant.astimezone(UTC) + _rolling_length(cap)
    day = local_date(instant, zone)
    left = 1 if cap.window == Window.CALENDAR_DAY else 7 - day.weekday()
    return local_midnight(day + timedelta(days=left), zone)


def _rolling_length(cap: Cap) -> timedelta:
    return timedelta(hours=cap.length * (24 if cap.window == Window.ROLLING_DAYS else 1))
