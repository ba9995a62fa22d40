"""The time zones of the pinned tzdata, as periods with one offset each. Pure: no database."""

import struct
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from importlib.metadata import version
from importlib.resources import files
from io import BytesIO
from itertools import pairwise
from typing import NamedTuple
from zoneinfo import ZoneInfo, available_timezones

# Every stored instant is between these two (activity.models), with a day more on both sides.
_FIRST = datetime(1899, 12, 30, tzinfo=UTC)
_LAST = datetime(2200, 1, 3, tzinfo=UTC)
# After the last change in a file, the rule in its footer applies without end. No rule changes
# clocks twice within this step.
_STEP = timedelta(days=20)
_SECOND = timedelta(seconds=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# RFC 9636: magic, version, then the counts of six lists that follow.
_HEADER = struct.Struct(">4sc15x6l")
# Not a real place: it means a computer whose zone is not set.
_NO_PLACES = frozenset({"Factory"})


class Period(NamedTuple):
    """A period in which a zone's clocks have the same offset from UTC. It begins at `from_at`."""

    from_at: datetime
    utc_offset: timedelta


def release() -> str:
    """Return the version of the pinned tzdata, as in 2026.6."""
    return version("tzdata")


def is_newer(one: str, than: str) -> bool:
    """Return whether one version of tzdata is newer than another."""
    return _numbers(one) > _numbers(than)


@lru_cache(maxsize=1)
def known_zones() -> frozenset[str]:
    """Return the names that the pinned tzdata lists, without posix/, right/ and localtime."""
    return frozenset(available_timezones() - _NO_PLACES)


def zone_named(text: str) -> str:
    """Return the zone of a city: `Europe/Brussels` for "brussels". Other texts are returned as is.

    A city that several zones name is none.
    """
    city = text.strip().replace(" ", "_").lower()
    found = [zone for zone in known_zones() if zone.lower().rpartition("/")[2] == city]
    return found[0] if len(found) == 1 and text not in known_zones() else text


def periods_by_zone() -> Iterator[tuple[str, list[Period]]]:
    """Yield each known zone with its periods from 1900 to 2199, the earliest first.

    The offsets are those of zoneinfo. The first period also covers all earlier time.
    """
    named: dict[bytes, list[str]] = {}
    for zone in sorted(known_zones()):
        named.setdefault(files("tzdata.zoneinfo").joinpath(zone).read_bytes(), []).append(zone)
    # Several names can have the same file, and each file is read once.
    for file, zones in named.items():
        found = _periods(file)
        yield from ((zone, found) for zone in zones)


def first_second(before: datetime, after: datetime, *, zone: ZoneInfo) -> datetime:
    """Return the instant between the two, in whole seconds, at which the zone's offset changes."""
    offset = _offset(before, zone)
    while after - before > _SECOND:
        middle = before + timedelta(seconds=(after - before) // (2 * _SECOND))
        if _offset(middle, zone) == offset:
            before = middle
        else:
            after = middle
    return after


def _periods(file: bytes) -> list[Period]:
    zone = ZoneInfo.from_file(BytesIO(file))
    found: list[Period] = []
    for at in _possible_changes(file, zone):
        offset = _offset(at, zone)
        if not found or found[-1].utc_offset != offset:
            found.append(Period(at, offset))
    return found


def _possible_changes(file: bytes, zone: ZoneInfo) -> Iterator[datetime]:
    listed, has_rule = _read(file)
    inside = [at for at in listed if _FIRST < at < _LAST]
    yield _FIRST
    yield from inside
    if has_rule:
        yield from _changes_by_rule(max([_FIRST, *inside]), zone)


def _changes_by_rule(begin: datetime, zone: ZoneInfo) -> Iterator[datetime]:
    steps = [begin + number * _STEP for number in range((_LAST - begin) // _STEP + 1)]
    offsets = [_offset(at, zone) for at in steps]
    # The last change to each offset.
    last: dict[timedelta, datetime] = {}
    for (before, after), (old, new) in zip(pairwise(steps), pairwise(offsets), strict=True):
        if old != new:
            last[new] = _change(before, after, zone=zone, earlier=last.get(new, before))
            yield last[new]


def _change(before: datetime, after: datetime, *, zone: ZoneInfo, earlier: datetime) -> datetime:
    """Return the only change between the two instants.

    Rules name days of the week, so nearly every change is whole weeks after `earlier`, the last
    change to the same offset. This is tried first, because a search takes ten times as long.
    """
    for at in (earlier + timedelta(weeks=52), earlier + timedelta(weeks=53)):
        if before < at <= after and _offset(at, zone) != _offset(at - _SECOND, zone):
            return at
    return first_second(before, after, zone=zone)


def _offset(at: datetime, zone: ZoneInfo) -> timedelta:
    return at.astimezone(zone).utcoffset() or timedelta(0)


def _read(file: bytes) -> tuple[list[datetime], bool]:
    """Return the changes that a TZif file lists, and whether a rule for later years follows.

    This gives only the instants. The offsets come from zoneinfo, so that only one library
    interprets them.
    """
    # The first block has 32-bit times for old readers. The second block has all data.
    second = _HEADER.size + _length(file, 0, width=4)
    changes = _HEADER.unpack_from(file, second)[5]
    seconds = struct.unpack_from(f">{changes}q", file, second + _HEADER.size)
    footer = file[second + _HEADER.size + _length(file, second, width=8) :]
    # A rule gives the two days of the change after commas. A fixed offset has no comma.
    return [_EPOCH + timedelta(seconds=at) for at in seconds if abs(at) < 10**11], b"," in footer


def _length(file: bytes, header: int, *, width: int) -> int:
    _, _, are_utc, are_standard, leaps, changes, types, letters = _HEADER.unpack_from(file, header)
    return int(
        changes * (width + 1) + types * 6 + letters + leaps * (width + 4) + are_standard + are_utc
    )


def _numbers(one: str) -> tuple[int, ...]:
    return tuple(int(part) for part in one.split(".") if part.isdigit())
