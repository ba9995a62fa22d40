"""Only the pinned tzdata decides local time, in SQL and in Python."""

import zoneinfo
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from importlib.resources import files
from io import StringIO
from itertools import pairwise

import pytest
from django.core.exceptions import ValidationError
from django.core.management import CommandError, call_command
from django.db import connection

from activity.local_time import local_day, local_instant, local_midnight_of
from activity.models import Course, DailyActivity
from activity.operations import OldZonesError, ensure_zones, settle_edits
from activity.operations.roster import save_course, save_learner
from activity.operations.roster_values import RosterError
from activity.validators import validate_time_zone
from common.clock import local_date, local_midnight
from common.zones import known_zones, periods_by_zone, release
from interventions.stages.recover import recover
from tests.factories import NOW, act, make_course, make_enrollment
from tests.long import longer
from tests.processes import finish, start_forked

# With the day of a leap year, and each kind of change of clocks several times.
FIRST_DAY, LAST_DAY = date(2024, 1, 1), date(2025, 12, 31)
FIRST_HOUR = datetime(2024, 1, 1, tzinfo=UTC)
HOURS = [FIRST_HOUR + timedelta(hours=hour) for hour in range(2 * 8_766)]

# One group of zones in four is looked at by the quicker tests.
PARTS = 4

_DAYS_OF = f"""
SELECT array_agg({local_day("hour", "%(zone)s")} - date '0001-01-01' + 1 ORDER BY hour)
FROM generate_series(%(first)s::timestamptz, %(last)s, interval '1 hour') AS hour
"""
_MIDNIGHTS_OF = f"""
SELECT array_agg({local_midnight_of("day", "%(zone)s")} ORDER BY day)
FROM generate_series(%(first)s::date, %(last)s::date, interval '1 day') AS day
"""
# The rows of each zone for these years, which are all that the SQL reads.
_PERIODS = """
SELECT array_agg(DISTINCT zone), rows FROM (
    SELECT zone, array_agg((greatest(from_at, %(first)s), to_at, utc_offset)::text ORDER BY to_at)
    FROM activity_zoneperiod WHERE to_at > %(first)s AND from_at < %(last)s GROUP BY zone
) AS x (zone, rows) GROUP BY rows
"""


def _fetch(sql: str, **values: object) -> list[tuple]:
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        return cursor.fetchall()


def _zones_by_file() -> dict[bytes, list[str]]:
    """Return the zones by the content of their files: many names are links to one zone."""
    found: dict[bytes, list[str]] = {}
    for zone in sorted(known_zones()):
        file = files("tzdata.zoneinfo").joinpath(zone).read_bytes()
        found.setdefault(file, []).append(zone)
    return found


def _groups() -> list[list[list[str]]]:
    """Return the zones of one file each, gathered by the rows that the SQL reads for them.

    The result for one zone of a group is the result for all of them.
    """
    room = timedelta(days=3)
    groups = _fetch(_PERIODS, first=FIRST_HOUR - room, last=HOURS[-1] + room)
    place = {zone: number for number, (zones, _) in enumerate(groups) for zone in zones}
    found: list[list[list[str]]] = [[] for _ in groups]
    for zones in _zones_by_file().values():
        assert len({place[zone] for zone in zones}) == 1, zones
        found[place[zones[0]]].append(zones)
    return found


@pytest.mark.slow
@pytest.mark.parametrize(
    "part", [0, *longer("test_local_day_in_sql_is_zoneinfos_in_every_zone_and_hour", 1, 2, 3)]
)
def test_local_day_in_sql_is_zoneinfos_in_every_zone_and_hour(db: None, part: int) -> None:
    for group in _groups()[part::PARTS]:
        ((days,),) = _fetch(_DAYS_OF, zone=group[0][0], first=HOURS[0], last=HOURS[-1])
        # Days never decrease, so they are equal between two equal ends of the period.
        assert all(0 <= later - one <= 1 for one, later in pairwise(days)), group
        for zones in group:
            zone = zoneinfo.ZoneInfo(zones[0])
            asked = _near_midnight(zone)
            found = [HOURS[place].astimezone(zone).toordinal() for place in asked]
            assert found == [days[place] for place in asked], zones


def _near_midnight(zone: zoneinfo.ZoneInfo) -> list[int]:
    """Return the places of the hours around each midnight, and of the first and the last one.

    Clocks are moved by no more than three hours in these years.
    """
    first = HOURS[0].astimezone(zone).hour
    hours = {(hour - first) % 24 for hour in range(-4, 4)}
    last = len(HOURS) - 1
    return [place for place in range(len(HOURS)) if place % 24 in hours or place in (0, last)]


@pytest.mark.slow
@pytest.mark.parametrize(
    "part",
    [0, *longer("test_midnight_in_sql_is_the_first_second_of_the_day_in_every_zone", 1, 2, 3)],
)
def test_midnight_in_sql_is_the_first_second_of_the_day_in_every_zone(db: None, part: int) -> None:
    second = timedelta(seconds=1)
    days = [FIRST_DAY + timedelta(days=day) for day in range((LAST_DAY - FIRST_DAY).days + 1)]
    for group in _groups()[part::PARTS]:
        ((midnights,),) = _fetch(_MIDNIGHTS_OF, zone=group[0][0], first=FIRST_DAY, last=LAST_DAY)
        for zones in group:
            for day, at in zip(days, midnights, strict=True):
                assert at == local_midnight(day, zones[0]), (zones, day)
                assert local_date(at - second, zones[0]) < day <= local_date(at, zones[0])


def test_offsets_are_kept_to_the_second(db: None) -> None:
    # Monrovia was 44 minutes and 30 seconds behind until 1972.
    at = datetime(1971, 6, 1, 0, 44, 29, tzinfo=UTC)
    sql = f"SELECT {local_day('%(at)s', '%(zone)s')}"
    assert _fetch(sql, at=at, zone="Africa/Monrovia") == [(date(1971, 5, 31),)]
    later = at + timedelta(seconds=1)
    assert _fetch(sql, at=later, zone="Africa/Monrovia") == [(date(1971, 6, 1),)]


@pytest.mark.parametrize(
    ("zone", "day", "at"),
    [
        # Clocks go from 00:00 to 01:00, so the day begins at 01:00.
        ("Africa/Cairo", date(2025, 4, 25), "2025-04-24T22:00:00+00:00"),
        ("Asia/Beirut", date(2025, 3, 30), "2025-03-29T22:00:00+00:00"),
        ("America/Havana", date(2025, 3, 9), "2025-03-09T05:00:00+00:00"),
        # From 01:00 back to 00:00: the first of two midnights.
        ("America/Havana", date(2025, 11, 2), "2025-11-02T04:00:00+00:00"),
        ("Atlantic/Azores", date(2025, 10, 26), "2025-10-26T00:00:00+00:00"),
        # From 23:30 to 00:30: the day begins half an hour late.
        ("America/Toronto", date(1919, 3, 31), "1919-03-31T04:30:00+00:00"),
        # A day that Samoa never had, and the one after it.
        ("Pacific/Apia", date(2011, 12, 30), "2011-12-30T10:00:00+00:00"),
        ("Pacific/Apia", date(2011, 12, 31), "2011-12-30T10:00:00+00:00"),
        # By a rule, long after the last change that the files list.
        ("Europe/London", date(2199, 7, 1), "2199-06-30T23:00:00+00:00"),
    ],
)
def test_day_begins_at_its_first_instant(db: None, zone: str, day: date, at: str) -> None:
    expected = datetime.fromisoformat(at)
    sql = f"SELECT {local_midnight_of('%(day)s::date', '%(zone)s')}"
    assert _fetch(sql, day=day, zone=zone) == [(expected,)]
    assert local_midnight(day, zone) == expected


def test_time_that_clocks_show_twice_is_its_first_and_a_missing_day_has_no_time(db: None) -> None:
    sql = f"SELECT {local_instant('%(wall)s::timestamp', '%(zone)s')}"
    twice = _fetch(sql, wall=datetime(2025, 10, 26, 1, 30), zone="Europe/London")  # noqa: DTZ001
    assert twice == [(datetime(2025, 10, 26, 0, 30, tzinfo=UTC),)]
    assert _fetch(sql, wall=None, zone="Europe/London") == [(None,)]


def test_every_zone_covers_all_time_without_gaps(db: None) -> None:
    rows = _fetch(
        """SELECT zone, from_at::text, to_at::text FROM activity_zoneperiod ORDER BY zone, to_at"""
    )
    by_zone: dict[str, list[tuple[str, str]]] = {}
    for zone, from_at, to_at in rows:
        by_zone.setdefault(zone, []).append((from_at, to_at))
    assert set(by_zone) == known_zones()
    for found in by_zone.values():
        assert (found[0][0], found[-1][1]) == ("-infinity", "infinity")
        assert [begin for begin, _ in found[1:]] == [end for _, end in found[:-1]]


def test_zoneinfo_reads_the_pinned_tzdata_and_no_file_of_the_machine() -> None:
    assert zoneinfo.TZPATH == ()


@pytest.mark.parametrize(
    "name", ["posix/Europe/London", "right/UTC", "localtime", "Factory", "posixrules", "", "cet"]
)
def test_name_that_tzdata_does_not_list_is_refused(name: str) -> None:
    with pytest.raises(ValidationError, match="is not a time zone"):
        validate_time_zone(name)


def test_zone_of_a_learner_is_checked_too(db: None) -> None:
    with pytest.raises(RosterError, match="is not a time zone"):
        save_learner({"external_id": "a", "time_zone": "right/UTC"}, now=NOW)
    course = make_course()
    with pytest.raises(RosterError, match="is not a time zone"):
        save_course({"key": course.key, "time_zone": "localtime"}, now=NOW)


@pytest.fixture
def older_zones(db: None) -> Iterator[None]:
    """Set the database to a tzdata in which Winnipeg had no summer time in 2025."""
    with connection.cursor() as cursor:
        cursor.execute("UPDATE activity_zonerelease SET version = '2020.1'")
        cursor.execute(
            """UPDATE activity_zoneperiod SET utc_offset = interval '-6 hours'
            WHERE zone = 'America/Winnipeg' AND from_at > '2025-01-01' AND to_at < '2026-01-01'"""
        )
    return


def test_newer_tzdata_recomputes_only_the_changed_days(older_zones: None) -> None:
    at = datetime(2025, 7, 11, 5, 30, tzinfo=UTC)
    fields = {"starts_on": date(2025, 6, 1), "ends_on": date(2025, 8, 31)}
    moved = make_course(time_zone="America/Winnipeg", **fields)
    other = make_course(time_zone="America/New_York", **fields)
    before = {"starts_on": date(2024, 1, 1), "ends_on": date(2024, 3, 1)}
    past, acted_late = (make_course(time_zone="America/Winnipeg", **before) for _ in range(2))
    for course in (moved, other, acted_late):
        act(make_enrollment(course), occurred_at=at)
    assert DailyActivity.objects.get(enrollment__course=moved).day == date(2025, 7, 10)

    ensure_zones()

    edits = dict(Course.objects.values_list("pk", "edits"))
    # Days are rebuilt where an event lies on one that changed, even outside the course's dates.
    assert edits == {moved.pk: 1, other.pk: 0, past.pk: 0, acted_late.pk: 1}
    settle_edits(now=NOW)
    assert DailyActivity.objects.get(enrollment__course=moved).day == date(2025, 7, 11)
    assert _fetch("SELECT version FROM activity_zonerelease") == [(release(),)]


def test_second_time_changes_nothing(db: None) -> None:
    course = make_course()
    before = _fetch("SELECT ctid::text FROM activity_zoneperiod LIMIT 5")
    ensure_zones()
    assert _fetch("SELECT ctid::text FROM activity_zoneperiod LIMIT 5") == before
    assert Course.objects.get(pk=course.pk).edits == 0


def test_process_with_an_older_tzdata_is_refused(db: None) -> None:
    with connection.cursor() as cursor:
        cursor.execute("UPDATE activity_zonerelease SET version = '2999.1'")
    with pytest.raises(OldZonesError, match=r"uses tzdata 2999\.1, but"):
        ensure_zones()
    for command in ("migrate", "ensure_zones"):
        with pytest.raises(CommandError, match="install the locked requirements"):
            call_command(command, verbosity=0)
    with pytest.raises(OldZonesError):
        recover(now=NOW)


def test_starting_worker_applies_a_newer_tzdata(older_zones: None) -> None:
    course = make_course(
        time_zone="America/Winnipeg", starts_on=date(2025, 6, 1), ends_on=date(2025, 8, 31)
    )
    recover(now=NOW)
    course.refresh_from_db()
    assert _fetch("SELECT version FROM activity_zonerelease") == [(release(),)]
    assert (course.edits, course.settled_edits) == (1, 1)


def test_course_whose_zone_is_dropped_is_named_at_the_start(db: None) -> None:
    course = make_course()
    Course.objects.update(time_zone="Mars/Base")
    said = StringIO()
    call_command("ensure_zones", stderr=said)
    assert f"Course '{course.key}' has the time zone 'Mars/Base'" in said.getvalue()


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_command_of_an_older_tzdata_ends_with_a_sentence() -> None:
    with connection.cursor() as cursor:
        cursor.execute("UPDATE activity_zonerelease SET version = '2999.1'")
    try:
        ended = finish(start_forked("manage.py", "evaluate_segments", "--as-of", NOW.isoformat()))
    finally:
        with connection.cursor() as cursor:
            cursor.execute("UPDATE activity_zonerelease SET version = %s", [release()])
    assert ended.status == 1
    assert "uses tzdata 2999.1, but" in ended.errors
    assert "Traceback" not in ended.errors


def test_periods_of_a_zone_follow_each_other_and_differ() -> None:
    found = next(periods for zone, periods in periods_by_zone() if zone == "America/Havana")
    assert [each.from_at for each in found] == sorted({each.from_at for each in found})
    assert all(one.utc_offset != two.utc_offset for one, two in pairwise(found))
