"""Pages that need more than one app: staff and their groups, and courses that go live."""

from typing import Any

from django.contrib import admin, messages
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.models import Group, User
from django.http import HttpRequest
from unfold.admin import ModelAdmin
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from activity.admin import CourseAdmin
from activity.models import Course
from common.clock import utc_now
from config.going_live import readiness_of

admin.site.unregister(Course)
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


@admin.register(Course)
class LiveCourseAdmin(CourseAdmin):
    """Courses; saving one that is live says what guards its messages."""

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Save the course. Where "live since" is set anew, say what that lets out."""
        super().save_model(request, obj, form, change)
        if obj.live_since is not None and "live_since" in form.changed_data:
            _say_readiness(request, obj)


def _say_readiness(request: HttpRequest, course: Course) -> None:
    found = readiness_of([course.key], now=utc_now())[course.key]
    if found.missing:
        text = "No message goes out yet, because " + "; ".join(found.missing) + "."
        messages.warning(request, text)
    applying = "; ".join(found.guards.apply) or "none"
    messages.info(request, f"Guards that apply to its messages: {applying}.")
    for guard in found.guards.missing:
        messages.warning(request, f"Missing: {guard}.")
