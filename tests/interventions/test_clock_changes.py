"""Quiet hours, caps and days around the clock changes of five zones, against a reading by minutes.

The reading asks the zone what its clock shows at each minute of three weeks, and applies the words
of the rules to that list. It knows no offset, no fold and no arithmetic of local times.
"""

from bisect import bisect_left
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from interventions.policy.caps import Cap, Counted, Message, Window, eligible_at
from interventions.policy.durations import later
from interventions.policy.hours import ClosedHours, open_from
from tests.examples import examples

MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
DAYS_AROUND = 10
MAIL = Message("email", 1, 1)

LONDON, NEW_YORK, CAIRO = "Europe/London", "America/New_York", "Africa/Cairo"
KATHMANDU, APIA = "Asia/Kathmandu", "Pacific/Apia"

# The instant of each change, in UTC, and what the clock does.
CHANGES = {
    "London forward": (LONDON, "2026-03-29T01:00"),
    "London back": (LONDON, "2026-10-25T01:00"),
    "New York forward": (NEW_YORK, "2026-03-08T07:00"),
    "New York back": (NEW_YORK, "2026-11-01T06:00"),
    # At midnight: one day begins at 01:00, and another has its last hour twice.
    "Cairo forward": (CAIRO, "2026-04-23T22:00"),
    "Cairo back": (CAIRO, "2026-10-29T21:00"),
    # No summer time, and an offset of 5:45 since a change of a quarter of an hour.
    "Kathmandu, no change": (KATHMANDU, "2026-03-29T01:00"),
    "Kathmandu, a quarter of an hour": (KATHMANDU, "1985-12-31T18:30"),
    # 30 December 2011 was left out; the last summer time ended in 2021.
    "Apia over the date line": (APIA, "2011-12-30T10:00"),
    "Apia forward": (APIA, "2020-09-26T14:00"),
    "Apia back": (APIA, "2021-04-03T14:00"),
    "Apia, no change": (APIA, "2026-10-25T01:00"),
}
HAS_CHANGE = [name for name in CHANGES if not name.endswith("no change")]


class Clock:
    """What the clock of a zone shows at each minute around a change."""

    def __init__(self, zone: str, change: datetime) -> None:
        self.zone = zone
        first = change - DAYS_AROUND * DAY
        there = ZoneInfo(zone)
        self.minutes = [first + MINUTE * each for each in range(DAYS_AROUND * 2 * 24 * 60)]
        self.walls = [each.astimezone(there).replace(tzinfo=None) for each in self.minutes]
        self._shown: dict[datetime, list[int]] = {}
        for place, wall in enumerate(self.walls):
            self._shown.setdefault(wall, []).append(place)

    def place(self, instant: datetime) -> int:
        """Return the place of the first minute at or after the instant."""
        return bisect_left(self.minutes, instant)

    def first(self, wall: datetime) -> int:
        """Return the first minute that shows the time, or else the first that shows a later one."""
        shown = self._shown.get(wall)
        return shown[0] if shown else self._first_later(wall)

    def last(self, wall: datetime) -> int:
        """Return the last minute that shows the time, or else the first that shows a later one."""
        shown = self._shown.get(wall)
        return shown[-1] if shown else self._first_later(wall)

    def _first_later(self, wall: datetime) -> int:
        return next(place for place, each in enumerate(self.walls) if each > wall)


@cache
def clock_of(name: str) -> Clock:
    zone, change = CHANGES[name]
    return Clock(zone, datetime.fromisoformat(change).replace(tzinfo=UTC))


def slow_open_from(clock: Clock, at: datetime, closed: ClosedHours) -> datetime:
    """Return the first minute from `at` on that no stretch of closed hours has in it."""
    nights = []
    day = clock.walls[clock.place(at)].date() - 3 * DAY
    for _ in range(9):
        ends_on = day if closed.begins < closed.ends else day + DAY
        begins_at = clock.first(datetime.combine(day, closed.begins))
        nights.append((begins_at, clock.last(datetime.combine(ends_on, closed.ends))))
        day += DAY
    place = clock.place(at)
    while any(begins <= place < ends for begins, ends in nights):
        place += 1
    return clock.minutes[place]


def slow_eligible_at(clock: Clock, cap: Cap, sent: list[datetime], now: datetime) -> datetime:
    """Return the first minute from `now` on at which the window of that minute has room."""
    names = [_window(cap, clock.walls[clock.place(each)].date()) for each in sent]
    for place in range(clock.place(now), len(clock.minutes)):
        if cap.window == Window.ROLLING_HOURS:
            length = timedelta(hours=cap.length)
            inside = sum(clock.minutes[place] - each < length for each in sent)
        else:
            inside = names.count(_window(cap, clock.walls[place].date()))
        if inside < cap.limit:
            return clock.minutes[place]
    raise AssertionError("never")


def _window(cap: Cap, day: date) -> object:
    return day if cap.window == Window.CALENDAR_DAY else day.isocalendar()[:2]


def slow_later(clock: Clock, start: datetime, days: int) -> datetime:
    """Return the first minute that shows the same time of day so many days later."""
    wall = clock.walls[clock.place(start)] + days * DAY
    return clock.minutes[clock.first(wall)]


def local(zone: str, text: str, *, fold: int = 0) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold).astimezone(UTC)


@pytest.mark.parametrize("name", HAS_CHANGE)
def test_the_clock_changes_at_the_named_instant(name: str) -> None:
    zone, text = CHANGES[name]
    change = datetime.fromisoformat(text).replace(tzinfo=UTC)
    before, after = (
        at.astimezone(ZoneInfo(zone)).utcoffset() for at in (change - MINUTE / 60, change)
    )

    assert before != after


NIGHT = ClosedHours(time(21), time(8))


@pytest.mark.parametrize(
    ("zone", "closed", "at", "opens"),
    [
        (LONDON, NIGHT, "2026-03-28T21:00", "2026-03-29T08:00"),
        (LONDON, NIGHT, "2026-10-24T23:59", "2026-10-25T08:00"),
        (NEW_YORK, NIGHT, "2026-03-08T03:00", "2026-03-08T08:00"),
        (NEW_YORK, NIGHT, "2026-11-01T01:30", "2026-11-01T08:00"),
        (KATHMANDU, NIGHT, "2026-03-28T21:00", "2026-03-29T08:00"),
        (KATHMANDU, NIGHT, "1985-12-31T23:00", "1986-01-01T08:00"),
        (CAIRO, NIGHT, "2026-04-23T23:59", "2026-04-24T08:00"),
        (CAIRO, NIGHT, "2026-10-29T23:30", "2026-10-30T08:00"),
        # They end at a midnight that the clock skips: at the change, which shows 01:00.
        (CAIRO, ClosedHours(time(20), time(0)), "2026-04-23T21:00", "2026-04-24T01:00"),
        (CAIRO, ClosedHours(time(20), time(0, 30)), "2026-04-23T21:00", "2026-04-24T01:00"),
        # The night of the 29th is that of the 31st: the day between was left out.
        (APIA, NIGHT, "2011-12-29T22:00", "2011-12-31T08:00"),
        (APIA, ClosedHours(time(12), time(13)), "2011-12-29T12:30", "2011-12-29T13:00"),
        (APIA, NIGHT, "2021-04-03T21:30", "2021-04-04T08:00"),
    ],
)
def test_quiet_hours_end_at_their_local_time(
    zone: str, closed: ClosedHours, at: str, opens: str
) -> None:
    assert open_from(local(zone, at), closed, zone=zone) == local(zone, opens)


@pytest.mark.parametrize(
    ("zone", "window", "sent", "opens", "hours"),
    [
        (LONDON, Window.CALENDAR_DAY, "2026-03-29T00:00", "2026-03-30T00:00", 23),
        (LONDON, Window.CALENDAR_DAY, "2026-10-25T00:00", "2026-10-26T00:00", 25),
        (LONDON, Window.CALENDAR_WEEK, "2026-10-19T00:00", "2026-10-26T00:00", 169),
        (NEW_YORK, Window.CALENDAR_DAY, "2026-03-08T00:00", "2026-03-09T00:00", 23),
        (NEW_YORK, Window.CALENDAR_WEEK, "2026-10-26T00:00", "2026-11-02T00:00", 169),
        (KATHMANDU, Window.CALENDAR_DAY, "2026-03-29T00:00", "2026-03-30T00:00", 24),
        # The day has no midnight. It begins at 01:00.
        (CAIRO, Window.CALENDAR_DAY, "2026-04-23T00:00", "2026-04-24T01:00", 24),
        (CAIRO, Window.CALENDAR_DAY, "2026-04-24T01:00", "2026-04-25T00:00", 23),
        (CAIRO, Window.CALENDAR_DAY, "2026-10-29T00:00", "2026-10-30T00:00", 25),
        # The day after the 29th is the 31st, and the week has six days.
        (APIA, Window.CALENDAR_DAY, "2011-12-29T10:00", "2011-12-31T00:00", 14),
        (APIA, Window.CALENDAR_WEEK, "2011-12-26T00:00", "2012-01-02T00:00", 6 * 24),
    ],
)
def test_calendar_caps_end_at_local_midnight(
    zone: str, window: Window, sent: str, opens: str, hours: int
) -> None:
    at = local(zone, sent)

    found = eligible_at(Cap("c", 1, window), [Counted(MAIL, at)], now=at, zone=zone)

    assert found == local(zone, opens)
    assert found - at == timedelta(hours=hours)


@pytest.mark.parametrize(
    ("zone", "start", "days", "end"),
    [
        (NEW_YORK, "2026-03-01T09:00", 7, "2026-03-08T09:00"),
        (NEW_YORK, "2026-10-25T09:00", 7, "2026-11-01T09:00"),
        (KATHMANDU, "1985-12-31T09:00", 1, "1986-01-01T09:00"),
        # At a time that the clock skips: at the change.
        (CAIRO, "2026-04-23T00:30", 1, "2026-04-24T01:00"),
        (APIA, "2011-12-28T10:00", 2, "2011-12-31T00:00"),
        (APIA, "2011-12-28T10:00", 3, "2011-12-31T10:00"),
    ],
)
def test_days_later_is_the_same_time_of_day(zone: str, start: str, days: int, end: str) -> None:
    assert later(local(zone, start), days * DAY, zone=zone) == local(zone, end)


every_change = pytest.mark.parametrize("name", CHANGES)
few = settings(max_examples=examples(40))
any_time = st.builds(time, st.integers(0, 23), st.integers(0, 59))
# Minutes from the time that the clock shows at the change: times that it skips or shows twice.
from_change = st.integers(-90, 90)
# From a day before to a day after, where the change is felt.
near = st.integers(-30 * 60, 30 * 60)


def time_of(name: str, given: time | int) -> time:
    """Return the time, or the one so many minutes from what the clock shows at the change."""
    if isinstance(given, time):
        return given
    zone, change = CHANGES[name]
    shown = datetime.fromisoformat(change).replace(tzinfo=UTC).astimezone(ZoneInfo(zone))
    return (shown.replace(tzinfo=None) + given * MINUTE).time()


def instant(name: str, minutes: int) -> datetime:
    return datetime.fromisoformat(CHANGES[name][1]).replace(tzinfo=UTC) + minutes * MINUTE


@pytest.mark.slow
@every_change
@few
@given(begins=any_time | from_change, ends=any_time | from_change, minutes=near)
@pytest.mark.sampled(3)
def test_quiet_hours_are_those_of_the_reading_by_minutes(
    name: str, begins: time | int, ends: time | int, minutes: int
) -> None:
    closed = ClosedHours(time_of(name, begins), time_of(name, ends))
    assume(closed.begins != closed.ends)
    at = instant(name, minutes)

    opens = open_from(at, closed, zone=CHANGES[name][0])

    assert opens == slow_open_from(clock_of(name), at, closed)
    if opens > at:
        # Closed to its last microsecond.
        just_before = opens - timedelta(microseconds=1)
        assert open_from(just_before, closed, zone=CHANGES[name][0]) == opens


@every_change
@few
@given(
    window=st.sampled_from([Window.CALENDAR_DAY, Window.CALENDAR_WEEK, Window.ROLLING_HOURS]),
    limit=st.integers(1, 2),
    length=st.integers(1, 30),
    ago=st.lists(st.integers(0, 20 * 60), min_size=1, max_size=3),
    minutes=near,
)
@pytest.mark.sampled(3)
def test_caps_open_at_the_minute_of_the_reading_by_minutes(
    name: str, window: Window, limit: int, length: int, ago: list[int], minutes: int
) -> None:
    cap, now = Cap("c", limit, window, length), instant(name, minutes)
    sent = [now - each * MINUTE for each in ago]

    opens = eligible_at(cap, [Counted(MAIL, each) for each in sent], now=now, zone=CHANGES[name][0])

    assert opens == slow_eligible_at(clock_of(name), cap, sent, now)


@every_change
@few
@given(minutes=near, days=st.integers(1, 2))
def test_days_later_is_the_minute_of_the_reading_by_minutes(
    name: str, minutes: int, days: int
) -> None:
    start = instant(name, minutes)

    end = later(start, days * DAY, zone=CHANGES[name][0])

    assert end == slow_later(clock_of(name), start, days)
