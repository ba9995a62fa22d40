"""SQL for local days and local midnights, from the zone periods of the pinned tzdata. Pure.

PostgreSQL's own zone rules are never used: its `AT TIME ZONE 'CET'` is a fixed offset, and its
tables may be of another release than the tzdata that Python reads. activity.operations.zones keeps
the table activity_zoneperiod (zone, from_at, to_at, utc_offset). The periods of each zone cover all
time without gaps. The SQL names only the zone 'UTC', which is the same everywhere.
"""

# Only column names and placeholders of our own are put into the text, never a value.
# ruff: noqa: S608


def local_day(at: str, zone: str) -> str:
    """Return SQL for the calendar date of the instant in the zone."""
    # The first period that ends later. The index finds it, because periods do not overlap.
    offset = (
        f"SELECT p.utc_offset FROM activity_zoneperiod p WHERE p.zone = {zone}"
        f" AND p.to_at > {at} ORDER BY p.to_at LIMIT 1"
    )
    return f"(({at}) AT TIME ZONE 'UTC' + ({offset}))::date"


def zone_arrays(zone: str) -> str:
    """Return a SELECT of one row for `day_in_arrays`: the `ends` and `offsets` of the periods."""
    return (
        "SELECT array_agg(p.to_at ORDER BY p.to_at) AS ends,"
        " array_agg(p.utc_offset ORDER BY p.to_at) AS offsets"
        f" FROM activity_zoneperiod p WHERE p.zone = {zone}"
    )


def day_in_arrays(at: str, arrays: str) -> str:
    """Return SQL for the calendar date of the instant, from the columns of `zone_arrays`.

    For many instants of one zone this takes a tenth of the time of `local_day`.
    """
    offset = f"{arrays}.offsets[width_bucket({at}, {arrays}.ends) + 1]"
    return f"(({at}) AT TIME ZONE 'UTC' + {offset})::date"


def local_instant(wall: str, zone: str) -> str:
    """Return SQL for the first instant at which clocks in the zone show this timestamp or later.

    For a time that clocks show twice, it is the first instant. For a time that they skip, it is the
    instant of the change. `wall` is of type timestamp.
    """
    # Offsets are below a day. Without this condition, every earlier period would be read.
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
