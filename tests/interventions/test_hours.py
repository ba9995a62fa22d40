"""Quiet hours and send windows hold to their exact end, over midnight and at clock changes."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interventions.policy.hours import ClosedHours, open_from, outside

LONDON = "Europe/London"
NIGHT = ClosedHours(time(22), time(8))


def local(text: str, zone: str = LONDON, *, fold: int = 0) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold).astimezone(UTC)


@pytest.mark.parametrize(
    ("closed", "at", "opens"),
    [
        (NIGHT, "2025-09-10T12:00", "2025-09-10T12:00"),
        (NIGHT, "2025-09-10T21:59:59", "2025-09-10T21:59:59"),
        (NIGHT, "2025-09-10T22:00", "2025-09-11T08:00"),
        (NIGHT, "2025-09-11T03:00", "2025-09-11T08:00"),
        (NIGHT, "2025-09-11T07:59:59.999999", "2025-09-11T08:00"),
        (NIGHT, "2025-09-11T08:00", "2025-09-11T08:00"),
        (ClosedHours(time(12), time(14)), "2025-09-10T13:00", "2025-09-10T14:00"),
        (ClosedHours(time(12), time(14)), "2025-09-10T11:00", "2025-09-10T11:00"),
        (ClosedHours(time(0), time(8)), "2025-09-10T00:00", "2025-09-10T08:00"),
        (ClosedHours(time(20), time(0)), "2025-09-10T23:00", "2025-09-11T00:00"),
        (outside(time(9), time(17)), "2025-09-10T17:00", "2025-09-11T09:00"),
        (outside(time(9), time(17)), "2025-09-10T16:59", "2025-09-10T16:59"),
        # The nights on which the clock is set back (26 October) and forward (30 March).
        (NIGHT, "2025-10-25T23:00", "2025-10-26T08:00"),
        (NIGHT, "2025-03-29T23:00", "2025-03-30T08:00"),
        # 01:30 does not exist on 30 March: the clock jumps from 01:00 to 02:00, and the hours end.
        (ClosedHours(time(22), time(1, 30)), "2025-03-30T00:30", "2025-03-30T02:00"),
        (ClosedHours(time(1, 30), time(6)), "2025-03-30T02:00", "2025-03-30T06:00"),
        # Open for half an hour a day, which the clock skips on 30 March.
        (ClosedHours(time(2), time(1, 30)), "2025-03-29T12:00", "2025-03-31T01:30"),
    ],
)
def test_open_from_is_the_end_of_the_closed_hours(closed: ClosedHours, at: str, opens: str) -> None:
    assert open_from(local(at), closed, zone=LONDON) == local(opens)


def test_hours_with_equal_ends_are_refused() -> None:
    # They could mean always or never, and the search for an open instant would not end.
    with pytest.raises(ValueError, match="begin and end at 08:00"):
        open_from(local("2025-09-10T12:00"), ClosedHours(time(8), time(8)), zone=LONDON)


def test_a_repeated_hour_is_quiet_until_its_second_end() -> None:
    closed = ClosedHours(time(22), time(1, 30))
    end = local("2025-10-26T01:30", fold=1)

    for at in (
        local("2025-10-26T01:15", fold=0),
        local("2025-10-26T01:45", fold=0),
        local("2025-10-26T01:15", fold=1),
    ):
        assert open_from(at, closed, zone=LONDON) == end
    assert open_from(end, closed, zone=LONDON) == end


def test_hours_that_begin_in_a_repeated_hour_begin_at_its_first_occurrence() -> None:
    closed = ClosedHours(time(1, 30), time(6))

    assert open_from(local("2025-10-26T01:45", fold=0), closed, zone=LONDON) == local(
        "2025-10-26T06:00"
    )
    assert open_from(local("2025-10-26T01:10", fold=1), closed, zone=LONDON) == local(
        "2025-10-26T06:00"
    )


def test_the_hours_are_those_of_the_zone() -> None:
    at = datetime(2025, 9, 10, 20, 0, tzinfo=UTC)

    assert open_from(at, NIGHT, zone=LONDON) == at
    assert open_from(at, NIGHT, zone="Asia/Kolkata") == local("2025-09-11T08:00", "Asia/Kolkata")


times = st.builds(time, st.integers(0, 23), st.sampled_from([0, 15, 30, 45]))
zones = st.sampled_from(
    ["UTC", LONDON, "America/New_York", "Australia/Lord_Howe", "Africa/Cairo", "Asia/Kathmandu"]
)


def is_closed(instant: datetime, closed: ClosedHours, zone: str) -> bool:
    """Return whether the local time is in the closed hours, by a plain comparison."""
    wall = instant.astimezone(ZoneInfo(zone)).time()
    if closed.begins < closed.ends:
        return closed.begins <= wall < closed.ends
    return wall >= closed.begins or wall < closed.ends


@given(begins=times, ends=times, zone=zones, quarter=st.integers(0, 4 * 24 * 366))
def test_the_end_is_the_first_open_quarter_of_a_naive_clock(
    begins: time, ends: time, zone: str, quarter: int
) -> None:
    if begins == ends:
        return
    closed = ClosedHours(begins, ends)
    at = datetime(2025, 1, 1, tzinfo=UTC) + quarter * timedelta(minutes=15)

    end = open_from(at, closed, zone=zone)

    assert not is_closed(end, closed, zone)
    step = at
    while is_closed(step, closed, zone):
        step += timedelta(minutes=15)
    offsets = {
        (at + timedelta(hours=hours)).astimezone(ZoneInfo(zone)).utcoffset()
        for hours in range(-26, 27)
    }
    if len(offsets) == 1:
        assert end == step
    else:
        # At a clock change the hours may be longer, but never shorter.
        assert step <= end <= step + timedelta(hours=25)
