"""Local days and local midnights as SQL, by the zone periods of the pinned tzdata. Pure.

PostgreSQL's own zone rules are never asked: its `AT TIME ZONE 'CET'` is a fixed offset, and its
tables may be of another release than the tzdata that Python reads. The table activity_zoneperiod
(zone, from_at, to_at, utc_offset) is kept by activity.operations.zones; each zone's periods cover
all time without gaps. Only 'UTC' is named, which is the same everywhere.
"""

# What is put into the text are column names and placeholders of our own, never a value.
# ruff: noqa: S608


def local_day(at: str, zone: str) -> str:
    """Return SQL for the calendar date of the instant in the zone."""
    # The first period that ends later, found in the index: periods of a zone follow each other.
    offset = (
        f"SELECT p.utc_offset FROM activity_zoneperiod p WHERE p.zone = {zone}"
        f" AND p.to_at > {at} ORDER BY p.to_at LIMIT 1"
    )
    return f"(({at}) AT TIME ZONE 'UTC' + ({offset}))::date"


def zone_arrays(zone: str) -> str:
    """Return a SELECT of one row for `day_in_arrays`: `ends` and `offsets` of the periods."""
    return (
        "SELECT array_agg(p.to_at ORDER BY p.to_at) AS ends,"
        " array_agg(p.utc_offset ORDER BY p.to_at) AS offsets"
        f" FROM activity_zoneperiod p WHERE p.zone = {zone}"
    )


def day_in_arrays(at: str, arrays: str) -> str:
    """Return SQL for the calendar date of the instant by the columns of `zone_arrays`.

    For many instants of one zone: a tenth of the time of the look-up for each.
    """
    offset = f"{arrays}.offsets[width_bucket({at}, {arrays}.ends) + 1]"
    return f"(({at}) AT TIME ZONE 'UTC' + {offset})::date"


def local_instant(wall: str, zone: str) -> str:
    """Return SQL for the first instant at which clocks in the zone show this timestamp or later.

    Of a time that clocks show twice it is the first; of one that they skip, the instant of the
    change. `wall` is of type timestamp.
    """
    # Offsets are below a day: the second condition alone would read every period before.
    return f"""(
        SELECT greatest(p.from_at, ({wall} - p.utc_offset) AT TIME ZONE 'UTC')
        FROM activity_zoneperiod p
        WHERE p.zone = {zone}
            AND p.to_at > ({wall} - interval '1 day') AT TIME ZONE 'UTC'
            AND p.to_at > ({wall} - p.utc_offset) AT TIME ZONE 'UTC'
        ORDER BY p.to_at LIMIT 1)"""


def local_midnight_of(day: str, zone: str) -> str:
    """Return SQL for the instant at which the local day begins."""
    return local_instant(f"({day})::timestamp", zone)
