"""Users and groups of staff. Users cannot give permissions or change accounts beyond their own.

The permission to change users must not give all permissions. Otherwise users could make themselves
superusers, or change the password of a superuser.
"""

from typing import Any

from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.models import Group, User
from django.http import HttpRequest
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from common.admin import SafeListAdmin
from config.staff.rights import covers_group, covers_user, groups_within, permissions_of

admin.site.unregister(User)
admin.site.unregister(Group)


@admin.register(User)
class StaffUserAdmin(UserAdmin, SafeListAdmin):  # type: ignore[type-arg]
    """People who may log in."""

    form: Any = UserChangeForm
    add_form: Any = UserCreationForm
    change_password_form: Any = AdminPasswordChangeForm

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """Return also "is_superuser", unless the user is a superuser."""
        fields = tuple(super().get_readonly_fields(request, obj))
        return fields if _is_superuser(request) else (*fields, "is_superuser")

    def formfield_for_manytomany(self, db_field: Any, request: Any = None, **kwargs: Any) -> Any:
        """Offer only permissions and groups within the user's own permissions."""
        if db_field.name == "groups":
            kwargs["queryset"] = groups_within(request.user)
        elif db_field.name == "user_permissions":
            kwargs["queryset"] = permissions_of(request.user)
        return super().formfield_for_manytomany(db_field, request=request, **kwargs)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return whether the user may change this user, who must not have more permissions."""
        return super().has_change_permission(request, obj) and _covers_user(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return whether the user may delete this user, who must not have more permissions."""
        return super().has_delete_permission(request, obj) and _covers_user(request, obj)


@admin.register(Group)
class StaffGroupAdmin(GroupAdmin, SafeListAdmin):
    """Groups with the permissions of their members."""

    def formfield_for_manytomany(self, db_field: Any, request: Any = None, **kwargs: Any) -> Any:
        """Offer only the user's own permissions."""
        if db_field.name == "permissions":
            kwargs["queryset"] = permissions_of(request.user)
        return super().formfield_for_manytomany(db_field, request=request, **kwargs)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return whether the user may change this group, which must not have more permissions."""
        return super().has_change_permission(request, obj) and _covers_group(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return whether the user may delete this group, which must not have more permissions."""
        return super().has_delete_permission(request, obj) and _covers_group(request, obj)


def _is_superuser(request: HttpRequest) -> bool:
    return bool(request.user.is_superuser)


def _covers_user(request: HttpRequest, user: User | None) -> bool:
    return user is None or covers_user(request.user, user)


def _covers_group(request: HttpRequest, group: Group | None) -> bool:
    return group is None or covers_group(request.user, group)
