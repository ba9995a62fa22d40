"""Make the groups of staff that most sites need."""

from typing import Any

from django.contrib.auth.models import Group, Permission
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from config.staff.groups import READY_GROUPS, ReadyGroup


class Command(BaseCommand):
    help = (
        "Make the ready-made groups of staff that are not there yet. A group that is there stays as"
        " it is: what an admin changed in it is not overruled."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        """Make them, and say which."""
        with transaction.atomic():
            for ready in READY_GROUPS:
                made = _make(ready)
                self.stdout.write(f"{ready.name}: {'made' if made else 'was there already'}")


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
        raise CommandError(f"There is no right {missing[0]}: run manage.py migrate first.")
    return [named[name] for name in ready.codenames]
