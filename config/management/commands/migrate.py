"""`manage.py migrate`: Django's own, and then the time zones of the installed tzdata."""

from typing import Any

from django.core.management import call_command
from django.core.management.commands import migrate


class Command(migrate.Command):
    """Django's command; a newer tzdata is taken over with it."""

    def handle(self, *args: Any, **options: Any) -> None:
        """Migrate, then bring the zones up to date."""
        super().handle(*args, **options)
        call_command("ensure_zones")
