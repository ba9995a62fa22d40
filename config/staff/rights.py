"""Which rights an account holds and may grant, whether or not it may log in at the moment."""

from typing import Any

from django.contrib.auth.models import Group, Permission, User
from django.db.models import Q, QuerySet


def permissions_of(user: Any) -> QuerySet[Permission]:
    """Return the permissions of the user, by groups and one by one; a superuser has all."""
    # Not user.get_all_permissions(): of an account that is switched off it returns none, and
    # whoever changed its password and switched it on would have gained what it may do.
    everything = Permission.objects.select_related("content_type").order_by(
        "content_type__app_label", "content_type__model", "codename"
    )
    if user.is_superuser:
        return everything
    return everything.filter(Q(user=user.pk) | Q(group__user=user.pk)).distinct()


def covers_user(holder: Any, user: User) -> bool:
    """Return whether the holder may do all that the user may do."""
    if holder.is_superuser:
        return True
    return not user.is_superuser and _within(permissions_of(user), holder)


def covers_group(holder: Any, group: Group) -> bool:
    """Return whether the holder may do all that the group lets its members do."""
    return bool(holder.is_superuser) or _within(group.permissions.all(), holder)


def groups_within(holder: Any) -> QuerySet[Group]:
    """Return the groups that let their members do nothing beyond what the holder may do."""
    beyond = Permission.objects.exclude(pk__in=permissions_of(holder).values("pk"))
    return Group.objects.exclude(permissions__in=beyond)


def _within(permissions: QuerySet[Permission], holder: Any) -> bool:
    return not permissions.exclude(pk__in=permissions_of(holder).values("pk")).exists()
