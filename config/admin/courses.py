"""Courses: what going live lets out, and who may do it."""

from typing import Any

from django.contrib import admin, messages
from django.http import HttpRequest

from activity.admin import CourseAdmin
from activity.models import Course
from activity.rights import may_send
from common.clock import utc_now
from config.going_live import readiness_of

admin.site.unregister(Course)


@admin.register(Course)
class LiveCourseAdmin(CourseAdmin):
    """Courses; "live since" is for those who may send, and saving it says what guards apply."""

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """Show "live since" only to look at to those who may not send."""
        fields = tuple(super().get_readonly_fields(request, obj))
        return fields if may_send(request.user) else (*fields, "live_since")

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
