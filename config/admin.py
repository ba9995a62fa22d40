"""Users and groups of staff, in the look of the other pages."""

from typing import Any

from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.models import Group, User
from unfold.admin import ModelAdmin
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

admin.site.unregister(User)
admin.site.unregister(Group)


@admin.register(User)
class StaffUserAdmin(UserAdmin, ModelAdmin):  # type: ignore[type-arg]
    """People who may log in."""

    form: Any = UserChangeForm
    add_form: Any = UserCreationForm
    change_password_form: Any = AdminPasswordChangeForm


@admin.register(Group)
class StaffGroupAdmin(GroupAdmin, ModelAdmin):
    """What the members of a group may see and do."""
