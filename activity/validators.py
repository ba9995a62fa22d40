"""Validators of single field values."""

from datetime import datetime
from urllib.parse import urlsplit

from django.core.exceptions import ValidationError

from activity.payloads import MAX_LEVELS, is_nested_deeper, storable
from common.clock import END_OF_INSTANTS, FIRST_INSTANT
from common.constraints import OUT_OF_RANGE
from common.zones import known_zones


def validate_time_zone(name: str) -> None:
    """Raise ValidationError unless the pinned tzdata lists the zone.

    Files that exist only on this machine, such as posix/, right/ or localtime, are refused: on
    another machine the same name could mean other days.
    """
    if name not in known_zones():
        raise ValidationError(f"'{name}' is not a time zone: write it like Europe/London.")


def validate_instant(at: datetime) -> None:
    """Raise ValidationError for an instant that could not be read back.

    The tables refuse it too. But Django checks a constraint only if the form has all its columns.
    """
    if not FIRST_INSTANT <= at < END_OF_INSTANTS:
        raise ValidationError(OUT_OF_RANGE)


def validate_traits(value: object) -> None:
    """Raise ValidationError unless the value is an object that can be stored and read back."""
    if not isinstance(value, dict):
        raise ValidationError('Must be an object, as in {"region": "Wales"}.')
    if is_nested_deeper(value, levels=MAX_LEVELS):
        raise ValidationError(f"Nested too deeply: at most {MAX_LEVELS} levels are allowed.")
    # Checked here, because PostgreSQL refuses some of these values and cuts none of them.
    if storable(value) != value:
        raise ValidationError(
            "Contains something that cannot be stored: NaN, infinity, a number that is too long,"
            " a NUL or half a character."
        )


def validate_mail_domain(address: str) -> None:
    """Raise ValidationError if no mail can reach the domain of the address as it is stored."""
    if not address.isascii():
        raise ValidationError("No mail can be sent to this address: check its domain.")


def validate_web_address(address: str) -> None:
    """Raise ValidationError unless the address is a complete one that a browser can open.

    The host may be a single word, because many learning platforms run on an intranet.
    """
    try:
        parts = urlsplit(address)
    except ValueError:
        parts = urlsplit("")
    is_plain = address.isprintable() and " " not in address
    if parts.scheme not in ("http", "https") or not parts.hostname or not is_plain:
        raise ValidationError(
            "Write a complete web address, such as https://courses.example.org/cells."
        )
