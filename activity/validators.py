"""Checks of single field values."""

from datetime import datetime
from urllib.parse import urlsplit

from django.core.exceptions import ValidationError

from activity.payloads import MAX_LEVELS, is_nested_deeper, storable
from common.clock import END_OF_INSTANTS, FIRST_INSTANT
from common.constraints import OUT_OF_RANGE
from common.zones import known_zones


def validate_time_zone(name: str) -> None:
    """Raise ValidationError unless the pinned tzdata lists the zone.

    A file that only this machine has, such as posix/, right/ or localtime, is no zone: another
    machine would have other days by the same name.
    """
    if name not in known_zones():
        raise ValidationError(f"'{name}' is not a time zone: write it like Europe/London.")


def validate_instant(at: datetime) -> None:
    """Raise ValidationError for an instant that could not be read back.

    The tables refuse it too, but Django asks a constraint only where the form has all its columns.
    """
    if not FIRST_INSTANT <= at < END_OF_INSTANTS:
        raise ValidationError(OUT_OF_RANGE)


def validate_traits(value: object) -> None:
    """Raise ValidationError unless the value is an object that can be stored and read back."""
    if not isinstance(value, dict):
        raise ValidationError('Must be an object, as in {"region": "Wales"}.')
    if is_nested_deeper(value, levels=MAX_LEVELS):
        raise ValidationError(f"Nested too deep: at most {MAX_LEVELS} levels.")
    # Compared before they reach PostgreSQL, which refuses some of it and cuts none.
    if storable(value) != value:
        raise ValidationError(
            "Holds something that cannot be stored: NaN, infinity, a number too long, a NUL"
            " or half a character."
        )


def validate_mail_domain(address: str) -> None:
    """Raise ValidationError if the address, as it is stored, has a domain that no mail reaches."""
    if not address.isascii():
        raise ValidationError("No mail can be sent to this address: check its domain.")


def validate_web_address(address: str) -> None:
    """Raise ValidationError unless the address is a whole one, which a browser can open.

    The host may be a name of one word: many a learning platform lives on an intranet.
    """
    try:
        parts = urlsplit(address)
    except ValueError:
        parts = urlsplit("")
    is_plain = address.isprintable() and " " not in address
    if parts.scheme not in ("http", "https") or not parts.hostname or not is_plain:
        raise ValidationError(
            "Write a whole web address, such as https://courses.example.org/cells."
        )
