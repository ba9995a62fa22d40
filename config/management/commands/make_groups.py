"""Create the groups of staff that most sites need."""

from typing import Any

from django.contrib.auth.models import Group, Permission
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from config.staff.groups import READY_GROUPS, ReadyGroup


class Command(BaseCommand):
    help = (
        "Create the ready-made groups of staff that do not exist yet. Existing groups keep the"
        " changes of an admin."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        """Create the groups and print the result for each."""
        with transaction.atomic():
            for ready in READY_GROUPS:
                made = _make(ready)
                self.stdout.write(f"{ready.name}: {'created' if made else 'already exists'}")


def _make(ready: ReadyGroup) -> bool:
    group, made = Group.objects.get_or_create(name=ready.name)
    if made:
        group.permissions.set(_permissions(ready))
    return made


def _permissions(ready: ReadyGroup) -> list[Permission]:
    found = Permission.objects.select_related("content_type").filter(
        codename__in={name.split(".")[1] for name in ready.codenames}
    )
    named = {f"{each.content_type.app_label}.{each.codename}": each for each in found}
    missing = sorted(ready.codenames - named.keys())
    if missing:
        raise CommandError(f"There is no permission {missing[0]}. Run manage.py migrate first.")
    return [named[name] for name in ready.codenames]
