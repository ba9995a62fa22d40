"""`manage.py migrate`: Django's own, and then the zone periods of the pinned tzdata."""

from typing import Any

from django.core.management.base import CommandError
from django.core.management.commands import migrate
from django.db import connection

from activity.operations import OldZonesError, ensure_zones


class Command(migrate.Command):
    """Django's command; a newer tzdata is taken over with it."""

    def handle(self, *args: Any, **options: Any) -> None:
        """Migrate, then bring the zone periods up to date where their table is."""
        super().handle(*args, **options)
        if "activity_zoneperiod" not in connection.introspection.table_names():
            return
        try:
            ensure_zones()
        except OldZonesError as error:
            raise CommandError(str(error)) from None
