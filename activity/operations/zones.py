"""Keep the zone periods in the database, and the days computed from them, equal to tzdata."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import pairwise

from django.db import connection, transaction

from activity.operations.edits import count_edits
from common.zones import is_newer, periods_by_zone, release

# Differs from the locks of activity.operations.edits. The second number has no meaning.
_LOCK = (20_251, 0)

Row = tuple[str, datetime | str, datetime | str, timedelta]

_NEW = """
CREATE TEMP TABLE new_zoneperiod (LIKE activity_zoneperiod) ON COMMIT DROP
"""
_COPY = "COPY pg_temp.new_zoneperiod (zone, from_at, to_at, utc_offset) FROM STDIN"

# Periods in which the new release gives another offset, in zones that courses use.
_MOVED = """
CREATE TEMP TABLE moved ON COMMIT DROP AS
SELECT old.zone, greatest(old.from_at, new.from_at) AS from_at, least(old.to_at, new.to_at) AS to_at
FROM activity_zoneperiod AS old
JOIN pg_temp.new_zoneperiod AS new ON new.zone = old.zone
    AND new.from_at < old.to_at AND old.from_at < new.to_at AND new.utc_offset <> old.utc_offset
WHERE old.zone IN (SELECT time_zone FROM activity_course)
"""

# One day more on both sides, because a local day extends beyond the same day in UTC.
_CONCERNED = """
SELECT DISTINCT course.id
FROM activity_course AS course
JOIN pg_temp.moved ON moved.zone = course.time_zone
WHERE (moved.from_at < (course.ends_on + 2)::timestamp AT TIME ZONE 'UTC'
        AND moved.to_at > (course.starts_on - 1)::timestamp AT TIME ZONE 'UTC')
    OR EXISTS (
        SELECT FROM activity_enrollment AS enrollment
        WHERE enrollment.course_id = course.id AND (
            (enrollment.enrolled_at >= moved.from_at AND enrollment.enrolled_at < moved.to_at)
            OR EXISTS (
                SELECT FROM activity_event AS event
                WHERE event.enrollment_id = enrollment.id
                    AND event.occurred_at >= moved.from_at AND event.occurred_at < moved.to_at
            )
        )
    )
"""

_REPLACE = """
DELETE FROM activity_zoneperiod;
INSERT INTO activity_zoneperiod SELECT * FROM pg_temp.new_zoneperiod;
DELETE FROM activity_zonerelease;
"""


class OldZonesError(Exception):
    """This process has an older tzdata than the one in the database."""


def ensure_zones() -> None:
    """Update the zone periods to the pinned tzdata if they are older.

    An edit is counted for each course whose days change, so that `settle_edits` rebuilds only these
    courses. Raise OldZonesError, with a sentence, if the database has a newer release.
    """
    # Nearly always true. This check needs no lock.
    if _stored() == release():
        return
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", _LOCK)
        stored = _stored()
        if stored == release():
            return
        if stored and is_newer(stored, release()):
            raise OldZonesError(
                f"The database uses tzdata {stored}, but {release()} is installed here: install "
                "the locked requirements."
            )
        _replace()


def _stored() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT version FROM activity_zonerelease")
        row = cursor.fetchone()
    return row[0] if row else ""


def _replace() -> None:
    with connection.cursor() as cursor:
        cursor.execute(_NEW)
        with cursor.copy(_COPY) as copy:
            for row in _rows():
                copy.write_row(row)
        cursor.execute("ANALYZE pg_temp.new_zoneperiod")
        cursor.execute(_MOVED)
        cursor.execute(_CONCERNED)
        concerned = [pk for (pk,) in cursor.fetchall()]
        cursor.execute(_REPLACE)
        cursor.execute("INSERT INTO activity_zonerelease VALUES (%s)", [release()])
        cursor.execute("ANALYZE activity_zoneperiod")
    count_edits(concerned)


def _rows() -> Iterator[Row]:
    for zone, found in periods_by_zone():
        begins: list[datetime | str] = ["-infinity", *(each.from_at for each in found[1:])]
        offsets = [each.utc_offset for each in found]
        for (from_at, to_at), offset in zip(pairwise([*begins, "infinity"]), offsets, strict=True):
            yield zone, from_at, to_at, offset
