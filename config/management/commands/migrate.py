"""`manage.py migrate`: Django's command, followed by `ensure_zones`."""

from typing import Any

from django.core.management import call_command
from django.core.management.commands import migrate


class Command(migrate.Command):
    """Django's command, which also installs a newer tzdata."""

    def handle(self, *args: Any, **options: Any) -> None:
        """Migrate, then update the time zones."""
        super().handle(*args, **options)
        call_command("ensure_zones")
