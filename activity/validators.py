"""Checks of single field values."""

from django.core.exceptions import ValidationError

from common.zones import known_zones


def validate_time_zone(name: str) -> None:
    """Raise ValidationError unless the pinned tzdata lists the zone.

    A file that only this machine has, such as posix/, right/ or localtime, is no zone: another
    machine would have other days by the same name.
    """
    if name not in known_zones():
        raise ValidationError(f"'{name}' is not a time zone: write it like Europe/London.")


def validate_mail_domain(address: str) -> None:
    """Raise ValidationError if the address, as it is stored, has a domain that no mail reaches."""
    if not address.isascii():
        raise ValidationError("No mail can be sent to this address: check its domain.")
