"""`manage.py ensure_zones`: bring the local days up to the installed tzdata, or say why not."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import connection

from activity.operations import OldZonesError, ensure_zones
from activity.queries import zones_unknown


class Command(BaseCommand):
    """Run by `migrate` and before every command that computes a local day."""

    help = (
        "Bring the time zones in the database up to the installed tzdata. Courses whose days"
        " change by it are made again by the workers; no other is touched."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        """Bring the periods up to date where their table is there already."""
        if "activity_zoneperiod" not in connection.introspection.table_names():
            return
        try:
            ensure_zones()
        except OldZonesError as error:
            raise CommandError(str(error)) from None
        for key, zone in zones_unknown():
            self.stderr.write(
                f"Course '{key}' has the time zone '{zone}', which the installed tzdata does not"
                " list: give it another, or its days cannot be computed."
            )
