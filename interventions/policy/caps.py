"""Frequency caps: the instant from which one more message is allowed. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from math import ceil

from common.clock import local_date, local_midnight

# Instants of Python begin in the year 1. A window that began before would stop every message.
LONGEST_WINDOW_DAYS = 3_650
# A calendar day can have 25 hours, and more if a zone moves over the date line.
_LONGEST_DAY = timedelta(hours=49)


class Window(StrEnum):
    """The kind of time window of a cap."""

    ROLLING_HOURS = "rolling_hours"
    ROLLING_DAYS = "rolling_days"
    CALENDAR_DAY = "calendar_day"
    CALENDAR_WEEK = "calendar_week"


_CALENDAR = {Window.CALENDAR_DAY: timedelta(days=1), Window.CALENDAR_WEEK: timedelta(days=7)}


@dataclass(frozen=True)
class Cap:
    """At most `limit` messages per learner in a window. A scope field of None means all."""

    name: str
    limit: int
    window: Window
    length: int = 1
    drops: bool = False
    channel: str | None = None
    category_id: int | None = None
    course_id: int | None = None
    # Only messages to learners of this arm are limited. What counts does not depend on it.
    arm_id: int | None = None


@dataclass(frozen=True)
class Message:
    """The properties of a message that limits depend on. Caps depend on the first three."""

    channel: str
    category_id: int
    course_id: int
    learner_id: int | None = None
    ghost: bool = False


@dataclass(frozen=True)
class Counted:
    """A message that the learner got, may have got, or would have got (a ghost)."""

    message: Message
    at: datetime
    delivery_id: int | None = None


def covers(cap: Cap, message: Message) -> bool:
    """Return whether the cap applies to the message."""
    return (
        cap.channel in (None, message.channel)
        and cap.category_id in (None, message.category_id)
        and cap.course_id in (None, message.course_id)
    )


def eligible_at(
    cap: Cap, counted: Iterable[Counted], *, now: datetime, zone: str
) -> datetime | None:
    """Return the first instant from now on at which the cap allows one more message, or None.

    A message leaves a rolling window of N hours exactly N hours after its claim. A rolling day is
    24 hours. Calendar windows begin at local midnight, weeks on Monday.
    """
    if cap.limit == 0:
        return None
    instants = sorted((each.at for each in counted if covers(cap, each.message)), reverse=True)
    if len(instants) < cap.limit:
        return now
    # The earliest of the `limit` latest messages must leave the window. Messages claimed by a
    # worker whose clock is ahead count too.
    return max(now, _leaves_at(instants[cap.limit - 1], cap, zone))


def most_under(other: Cap, cap: Cap) -> int:
    """Return how many messages the other cap usually allows within a window of this cap.

    A calendar day counts as 24 hours, although midnight may lie between two messages.
    """
    return other.limit * ceil(_usual_length(cap) / _usual_length(other))


def makes_idle(other: Cap, cap: Cap) -> bool:
    """Return whether the cap changes nothing, because another one is as strict."""
    covers_it = (
        other.channel in (None, cap.channel)
        and other.category_id in (None, cap.category_id)
        and other.course_id in (None, cap.course_id)
    )
    most = most_under(other, cap)
    # At the same number of messages, a cap that drops still ends messages that would only wait.
    return covers_it and (most < cap.limit or (most == cap.limit and other.drops >= cap.drops))


def horizon(cap: Cap) -> timedelta:
    """Return how far back messages can still count for this cap."""
    if cap.window in (Window.ROLLING_HOURS, Window.ROLLING_DAYS):
        return _rolling_length(cap)
    return _LONGEST_DAY if cap.window == Window.CALENDAR_DAY else timedelta(days=7) + _LONGEST_DAY


def _leaves_at(instant: datetime, cap: Cap, zone: str) -> datetime:
    if cap.window in (Window.ROLLING_HOURS, Window.ROLLING_DAYS):
        # In UTC, because adding to a local time would ignore a clock change.
        return instant.astimezone(UTC) + _rolling_length(cap)
    day = local_date(instant, zone)
    left = 1 if cap.window == Window.CALENDAR_DAY else 7 - day.weekday()
    return local_midnight(day + timedelta(days=left), zone)


def _usual_length(cap: Cap) -> timedelta:
    """Return the length of a window, without a clock change."""
    return _CALENDAR.get(cap.window) or _rolling_length(cap)


def _rolling_length(cap: Cap) -> timedelta:
    hours = cap.length * (24 if cap.window == Window.ROLLING_DAYS else 1)
    return timedelta(hours=min(hours, LONGEST_WINDOW_DAYS * 24))
