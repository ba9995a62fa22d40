"""Times of Django's date filter with the name of their zone in every hour."""

from datetime import datetime
from typing import Any

from django.utils import dateformat


class _NamedInEveryHour(dateformat.DateFormat):
    """Django leaves the zone out in the hour that a clock change repeats.

    It cannot tell which of the two hours a local time without `fold` means. Ours come from instants
    and know it, and without the name the two hours would look alike.
    """

    def __init__(self, obj: Any) -> None:
        super().__init__(obj)
        if isinstance(obj, datetime):
            self.timezone = obj.tzinfo or self.timezone


def name_every_zone() -> None:
    """Let all formats of dates name the zone. Django has no setting for it."""
    setattr(dateformat, "DateFormat", _NamedInEveryHour)  # noqa: B010 - it is a type for mypy
