"""Frequency caps: the instant from which one more message is allowed is exact."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.clock import local_midnight
from interventions.models import CapWindow
from interventions.policy.caps import Cap, Counted, Message, Window, covers, eligible_at, horizon
from interventions.policy.decision import Allow, Defer, Facts, decide
from tests.examples import examples

MAIL = Message("email", 1, 1)
LONDON = "Europe/London"
NOON = datetime(2025, 9, 10, 12, 0, tzinfo=UTC)


def counted(*hours_ago: float, now: datetime = NOON) -> list[Counted]:
    return [Counted(MAIL, now - timedelta(hours=hours)) for hours in hours_ago]


def eligible(
    cap: Cap, sent: list[Counted], now: datetime = NOON, zone: str = LONDON
) -> datetime | None:
    return eligible_at(cap, sent, now=now, zone=zone)


@pytest.mark.parametrize(
    ("cap", "hours_ago", "opens_in"),
    [
        (Cap("c", 1, Window.ROLLING_HOURS, 4), (), 0),
        (Cap("c", 1, Window.ROLLING_HOURS, 4), (3,), 1),
        (Cap("c", 1, Window.ROLLING_HOURS, 4), (4,), 0),
        (Cap("c", 2, Window.ROLLING_HOURS, 4), (3,), 0),
        (Cap("c", 2, Window.ROLLING_HOURS, 4), (3, 1), 1),
        (Cap("c", 2, Window.ROLLING_HOURS, 4), (3, 1, 1), 3),
        (Cap("c", 1, Window.ROLLING_DAYS, 7), (7 * 24 - 1,), 1),
        (Cap("c", 1, Window.ROLLING_DAYS, 7), (7 * 24,), 0),
        # 12:00 in UTC is 13:00 in London: eleven hours to midnight.
        (Cap("c", 1, Window.CALENDAR_DAY), (2,), 11),
        (Cap("c", 1, Window.CALENDAR_DAY), (13,), 11),
        (Cap("c", 1, Window.CALENDAR_DAY), (13.25,), 0),
        (Cap("c", 2, Window.CALENDAR_DAY), (2,), 0),
        # 10 September 2025 is a Wednesday; the week ends on Sunday night.
        (Cap("c", 1, Window.CALENDAR_WEEK), (2,), 4 * 24 + 11),
        (Cap("c", 1, Window.CALENDAR_WEEK), (2 * 24 + 12,), 4 * 24 + 11),
        (Cap("c", 1, Window.CALENDAR_WEEK), (2 * 24 + 14,), 0),
        # A message claimed by a worker whose clock is ahead counts too.
        (Cap("c", 1, Window.ROLLING_HOURS, 4), (-0.01,), 4.01),
    ],
)
def test_eligible_at_is_exact(cap: Cap, hours_ago: tuple[float, ...], opens_in: float) -> None:
    assert eligible(cap, counted(*hours_ago)) == NOON + timedelta(hours=opens_in)


def test_a_cap_of_zero_never_allows_a_message() -> None:
    assert eligible(Cap("c", 0, Window.CALENDAR_DAY), []) is None


@pytest.mark.parametrize(
    ("day", "hours"), [("2025-10-26", 25), ("2025-03-30", 23)], ids=["back", "forward"]
)
def test_a_calendar_day_is_as_long_as_the_clock_change_makes_it(day: str, hours: int) -> None:
    begins = datetime.fromisoformat(day).replace(tzinfo=ZoneInfo(LONDON)).astimezone(UTC)

    opens = eligible(Cap("c", 1, Window.CALENDAR_DAY), [Counted(MAIL, begins)], now=begins)

    assert opens == begins + timedelta(hours=hours)


@pytest.mark.parametrize(
    ("window", "zone", "first", "last"),
    [
        # The day has 25 hours, and its week an hour more than seven days.
        (Window.CALENDAR_DAY, LONDON, "2025-10-26", "2025-10-26"),
        (Window.CALENDAR_WEEK, LONDON, "2025-10-20", "2025-10-26"),
        # Kwajalein moved over the date line: the day had 47 hours.
        (Window.CALENDAR_DAY, "Pacific/Kwajalein", "1969-09-30", "1969-09-30"),
    ],
    ids=["day", "week", "date line"],
)
def test_the_first_message_of_a_long_window_counts_to_its_end(
    window: Window, zone: str, first: str, last: str
) -> None:
    cap = Cap("c", 1, window)
    begins = local_midnight(date.fromisoformat(first), zone)
    ends = local_midnight(date.fromisoformat(last) + timedelta(days=1), zone)
    now = ends - timedelta(seconds=1)
    sent = [each for each in [Counted(MAIL, begins)] if each.at > now - horizon(cap)]

    assert eligible(cap, sent, now, zone) == ends


def test_a_rolling_day_is_24_hours_over_a_clock_change() -> None:
    at = datetime(2025, 10, 25, 18, 0, tzinfo=ZoneInfo(LONDON))

    opens = eligible(Cap("c", 1, Window.ROLLING_DAYS, 1), [Counted(MAIL, at)], now=at)

    assert opens == at.astimezone(UTC) + timedelta(hours=24)


def test_a_calendar_day_is_the_learners() -> None:
    sent = counted(0)
    cap = Cap("c", 1, Window.CALENDAR_DAY)

    assert eligible(cap, sent, zone="Asia/Kolkata") == NOON + timedelta(hours=6.5)
    assert eligible(cap, sent, zone="America/New_York") == NOON + timedelta(hours=16)


@pytest.mark.parametrize(
    ("scope", "message", "is_covered"),
    [
        ({}, Message("email", 9, 9), True),
        ({"channel": "email"}, Message("email", 9, 9), True),
        ({"channel": "sms"}, Message("email", 9, 9), False),
        ({"category_id": 1}, Message("email", 1, 9), True),
        ({"category_id": 1}, Message("email", 2, 9), False),
        ({"course_id": 1}, Message("email", 9, 1), True),
        ({"course_id": 1}, Message("email", 9, 2), False),
        ({"category_id": 1, "course_id": 1}, Message("email", 1, 2), False),
    ],
)
def test_a_cap_covers_its_scope(scope: dict, message: Message, is_covered: bool) -> None:
    assert covers(Cap("c", 1, Window.CALENDAR_DAY, **scope), message) is is_covered


def test_messages_outside_the_scope_do_not_count() -> None:
    cap = Cap("c", 1, Window.CALENDAR_DAY, category_id=1)

    assert eligible(cap, [Counted(Message("email", 2, 1), NOON)]) == NOON


def test_the_windows_are_those_of_the_table() -> None:
    assert {str(each) for each in Window} == set(CapWindow.values)


# An oracle without arithmetic of windows: it tests for each quarter of an hour whether one more
# message is allowed. Every instant lies on a quarter, and so does every midnight.
QUARTER = timedelta(minutes=15)
START = datetime(2025, 10, 20, tzinfo=UTC)


def fits(cap: Cap, sent: list[Counted], at: datetime, zone: str) -> bool:
    names: dict[Window, Callable[[datetime], object]] = {
        Window.CALENDAR_DAY: lambda each: each.astimezone(ZoneInfo(zone)).date(),
        Window.CALENDAR_WEEK: lambda each: each.astimezone(ZoneInfo(zone)).isocalendar()[:2],
    }
    hours = cap.length * (24 if cap.window == Window.ROLLING_DAYS else 1)
    if cap.window in names:
        name = names[cap.window]
        inside = [each for each in sent if name(each.at) == name(at)]
    else:
        inside = [each for each in sent if at - each.at < timedelta(hours=hours)]
    return len(inside) < cap.limit


caps = st.builds(
    Cap,
    name=st.just("c"),
    limit=st.integers(1, 4),
    window=st.sampled_from(list(Window)),
    length=st.integers(1, 5),
)
zones = st.sampled_from(["UTC", LONDON, "America/New_York", "Asia/Kolkata", "Africa/Cairo"])


@pytest.mark.slow
@settings(max_examples=examples(60))
@given(
    each=st.lists(caps, min_size=1, max_size=3),
    quarters=st.lists(st.integers(0, 4 * 24 * 7), max_size=8),
    zone=zones,
)
def test_the_deferred_instant_is_the_earliest_that_keeps_every_cap(
    each: list[Cap], quarters: list[int], zone: str
) -> None:
    now = START + 4 * 24 * 7 * QUARTER
    sent = [Counted(MAIL, START + quarter * QUARTER) for quarter in quarters]

    decision = decide(
        Facts(message=MAIL, zone=zone, caps=tuple(each), counted=tuple(sent)), now=now
    )

    earliest = now
    while not all(fits(cap, sent, earliest, zone) for cap in each):
        earliest += QUARTER
    if earliest == now:
        assert decision == Allow()
    else:
        assert isinstance(decision, Defer)
        assert decision.until == earliest
        just_before = earliest - timedelta(microseconds=1)
        assert not all(fits(cap, sent, just_before, zone) for cap in each)


@settings(max_examples=examples(60))
@given(cap=caps, quarters=st.lists(st.integers(0, 4 * 24 * 10), max_size=8), zone=zones)
def test_messages_before_the_horizon_do_not_matter(
    cap: Cap, quarters: list[int], zone: str
) -> None:
    now = START + 4 * 24 * 10 * QUARTER
    sent = [Counted(MAIL, START + quarter * QUARTER) for quarter in quarters]
    recent = [each for each in sent if each.at > now - horizon(cap)]

    assert eligible(cap, sent, now, zone) == eligible(cap, recent, now, zone)
