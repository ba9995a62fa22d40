"""Checks of single field values."""

from zoneinfo import ZoneInfo

from django.core.exceptions import ValidationError


def validate_time_zone(name: str) -> None:
    """Raise ValidationError unless the name is a time zone of the pinned tz database."""
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ValidationError(
            f"'{name}' is not a time zone: write it like Europe/London."
        ) from None


def validate_mail_domain(address: str) -> None:
    """Raise ValidationError if the address, as it is stored, has a domain that no mail reaches."""
    if not address.isascii():
        raise ValidationError("No mail can be sent to this address: check its domain.")
