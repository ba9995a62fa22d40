"""`manage.py ensure_zones`: update the time zones in the database to the installed tzdata."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import connection

from activity.operations import OldZonesError, ensure_zones
from activity.queries import zones_unknown


class Command(BaseCommand):
    """Runs after `migrate` and before every command that computes local days."""

    help = (
        "Update the time zones in the database to the installed tzdata. The workers rebuild only"
        " the courses whose days change."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        """Update the periods if their table exists."""
        if "activity_zoneperiod" not in connection.introspection.table_names():
            return
        try:
            ensure_zones()
        except OldZonesError as error:
            raise CommandError(str(error)) from None
        for key, zone in zones_unknown():
            self.stderr.write(
                f"Course '{key}' has the time zone '{zone}', which is not in the installed tzdata,"
                " so its days cannot be computed. Give the course another time zone."
            )
