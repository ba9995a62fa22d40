"""Which rights an account holds and may grant, whether or not it may log in at the moment."""

from typing import Any

from django.contrib.auth.models import Group, Permission, User
from django.db.models import Q, QuerySet


def permissions_of(user: Any) -> QuerySet[Permission]:
    """Return the permissions of the user, from groups and direct. A superuser has all."""
    # Not user.get_all_permissions(), which returns none for an inactive account. Another user could
    # then change its password, activate it and gain its permissions.
    everything = Permission.objects.select_related("content_type").order_by(
        "content_type__app_label", "content_type__model", "codename"
    )
    if user.is_superuser:
        return everything
    return everything.filter(Q(user=user.pk) | Q(group__user=user.pk)).distinct()


def covers_user(holder: Any, user: User) -> bool:
    """Return whether the holder has all permissions of the user."""
    if holder.is_superuser:
        return True
    return not user.is_superuser and _within(permissions_of(user), holder)


def covers_group(holder: Any, group: Group) -> bool:
    """Return whether the holder has all permissions of the group."""
    return bool(holder.is_superuser) or _within(group.permissions.all(), holder)


def groups_within(holder: Any) -> QuerySet[Group]:
    """Return the groups whose permissions the holder has."""
    beyond = Permission.objects.exclude(pk__in=permissions_of(holder).values("pk"))
    return Group.objects.exclude(permissions__in=beyond)


def _within(permissions: QuerySet[Permission], holder: Any) -> bool:
    return not permissions.exclude(pk__in=permissions_of(holder).values("pk")).exists()
