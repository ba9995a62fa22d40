"""Send windows by weekday and hour hold in the learner's own zone and over clock changes."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interventions.policy.hours import ClosedHours, open_from, outside
from interventions.policy.windows import (
    SendWindow,
    lies_within,
    longest_wait,
    next_opening,
    window_in_words,
)

LONDON, NEW_YORK, CAIRO, APIA = (
    "Europe/London",
    "America/New_York",
    "Africa/Cairo",
    "Pacific/Apia",
)
OFFICE = SendWindow(time(9), time(17), frozenset({1, 2, 3, 4, 5}))
MONDAY = SendWindow(weekdays=frozenset({1}))
FRIDAY_NIGHT = SendWindow(time(22), time(2), frozenset({5}))


def local(text: str, zone: str = LONDON, *, fold: int = 0) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold).astimezone(UTC)


@pytest.mark.parametrize(
    ("window", "at", "opens"),
    [
        # 2025-10-20 is a Monday.
        (OFFICE, "2025-10-20T08:59:59", "2025-10-20T09:00"),
        (OFFICE, "2025-10-20T12:00", "2025-10-20T12:00"),
        (OFFICE, "2025-10-20T17:00", "2025-10-21T09:00"),
        (OFFICE, "2025-10-24T17:00", "2025-10-27T09:00"),
        (OFFICE, "2025-10-25T12:00", "2025-10-27T09:00"),
        (MONDAY, "2025-10-20T00:00", "2025-10-20T00:00"),
        (MONDAY, "2025-10-20T23:59:59", "2025-10-20T23:59:59"),
        (MONDAY, "2025-10-21T00:00", "2025-10-27T00:00"),
        (SendWindow(weekdays=frozenset({6, 7})), "2025-10-26T00:00", "2025-10-26T00:00"),
        # Hours over midnight belong to the evening.
        (FRIDAY_NIGHT, "2025-10-24T23:00", "2025-10-24T23:00"),
        (FRIDAY_NIGHT, "2025-10-25T01:59", "2025-10-25T01:59"),
        (FRIDAY_NIGHT, "2025-10-25T02:00", "2025-10-31T22:00"),
        (FRIDAY_NIGHT, "2025-10-24T01:00", "2025-10-24T22:00"),
    ],
)
def test_a_window_opens_on_its_days_at_its_hours(window, at: str, opens: str) -> None:
    assert next_opening(local(at), window, zone=LONDON) == local(opens)


@pytest.mark.parametrize(
    ("zone", "window", "at", "opens"),
    [
        # The clocks of London go back on Sunday 26 October: Monday's window keeps its hour.
        (LONDON, MONDAY, "2025-10-25T12:00", "2025-10-27T00:00"),
        (NEW_YORK, OFFICE, "2025-10-31T17:00", "2025-11-03T09:00"),
        # Open on Sunday for the half hour that New York skips on 9 March.
        (
            NEW_YORK,
            SendWindow(time(2), time(2, 30), frozenset({7})),
            "2025-03-08T12:00",
            "2025-03-16T02:00",
        ),
        # Cairo's Friday 25 April 2025 begins at 01:00.
        (CAIRO, SendWindow(weekdays=frozenset({5})), "2025-04-24T12:00", "2025-04-25T01:00"),
        # Apia had no Friday 30 December 2011.
        (APIA, SendWindow(weekdays=frozenset({5})), "2011-12-29T12:00", "2012-01-06T00:00"),
    ],
)
def test_a_window_keeps_its_local_hours_over_clock_changes(zone, window, at, opens) -> None:
    assert next_opening(local(at, zone), window, zone=zone) == local(opens, zone)


def test_the_days_are_those_of_the_learners_zone() -> None:
    at = datetime(2025, 10, 20, 3, tzinfo=UTC)

    assert next_opening(at, MONDAY, zone="UTC") == at
    # In New York it is still Sunday.
    assert next_opening(at, MONDAY, zone=NEW_YORK) == local("2025-10-20T00:00", NEW_YORK)


times = st.builds(time, st.integers(0, 23), st.sampled_from([0, 15, 30, 45]))
zones = st.sampled_from(
    [LONDON, NEW_YORK, CAIRO, APIA, "Asia/Kathmandu", "Australia/Lord_Howe", "Atlantic/Azores"]
)
quarters = st.integers(0, 4 * 24 * 366)


@given(opens=times, closes=times, zone=zones, quarter=quarters)
def test_without_weekdays_the_window_is_the_rest_of_closed_hours(
    opens: time, closes: time, zone: str, quarter: int
) -> None:
    if opens == closes:
        return
    at = datetime(2025, 1, 1, tzinfo=UTC) + quarter * timedelta(minutes=15)

    opening = next_opening(at, SendWindow(opens, closes), zone=zone)

    assert opening == open_from(at, outside(opens, closes), zone=zone)


def is_open(at: datetime, window: SendWindow, zone: str) -> bool:
    """Return whether the window is open at the instant, by a plain reading of the local clock."""
    wall = at.astimezone(ZoneInfo(zone))
    if window.opens is None or window.closes is None:
        return wall.isoweekday() in window.weekdays
    yesterday = (wall.isoweekday() - 2) % 7 + 1
    if window.opens < window.closes:
        return wall.isoweekday() in window.weekdays and window.opens <= wall.time() < window.closes
    begins_today = wall.isoweekday() in window.weekdays and wall.time() >= window.opens
    return begins_today or (yesterday in window.weekdays and wall.time() < window.closes)


@pytest.mark.slow
@given(
    hours=st.none() | st.tuples(times, times),
    weekdays=st.frozensets(st.integers(1, 7), min_size=1),
    zone=zones,
    quarter=quarters,
)
def test_the_opening_is_the_first_open_quarter_of_a_naive_clock(
    hours: tuple[time, time] | None, weekdays: frozenset[int], zone: str, quarter: int
) -> None:
    opens, closes = hours or (None, None)
    if hours is not None and opens == closes:
        return
    window = SendWindow(opens, closes, weekdays)
    at = datetime(2025, 1, 1, tzinfo=UTC) + quarter * timedelta(minutes=15)

    opening = next_opening(at, window, zone=zone)

    assert opening >= at
    offsets = {
        (at + timedelta(days=days)).astimezone(ZoneInfo(zone)).utcoffset() for days in range(-2, 12)
    }
    if len(offsets) > 1:
        return
    assert is_open(opening, window, zone)
    step = at
    while not is_open(step, window, zone):
        step += timedelta(minutes=15)
    assert opening == step


@pytest.mark.parametrize(
    ("window", "wait"),
    [
        (OFFICE, timedelta(days=2, hours=16)),
        (MONDAY, timedelta(days=6)),
        (SendWindow(time(9), time(17)), timedelta(hours=16)),
        (FRIDAY_NIGHT, timedelta(days=6, hours=20)),
        (SendWindow(weekdays=frozenset({1, 2, 3, 4, 5, 6, 7})), timedelta(0)),
    ],
)
def test_the_longest_wait_is_the_longest_closed_time(window, wait) -> None:
    assert longest_wait(window) == wait


@pytest.mark.parametrize(
    ("opens", "closes", "is_within"),
    [(22, 23, True), (22, 9, False), (20, 22, False), (7, 8, True), (9, 17, False), (21, 8, True)],
)
def test_a_window_within_the_quiet_hours_is_found(opens, closes, is_within) -> None:
    night = ClosedHours(time(21), time(8))

    assert lies_within(SendWindow(time(opens), time(closes)), night) is is_within


def test_a_window_is_said_in_words() -> None:
    said = window_in_words(SendWindow(time(9), time(12, 30), frozenset({3, 1})))

    assert said == "on Monday, Wednesday from 09:00 until 12:30"
    assert window_in_words(SendWindow()) == "at any time"
