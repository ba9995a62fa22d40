"""Courses: what going live lets out, and who may do it."""

from typing import Any

from django.contrib import admin, messages
from django.http import HttpRequest

from activity.admin import CourseAdmin
from activity.models import Course
from activity.rights import may_send
from common.clock import utc_now
from config.readiness import readiness_of

# Late events that start messages reach everybody whom a back-fill moves; how late they are counts.
LETS_OUT = ("live_since", "late_after_hours", "late_events_start")

admin.site.unregister(Course)


@admin.register(Course)
class LiveCourseAdmin(CourseAdmin):
    """Courses; what lets messages out is for those who may send, and says what guards apply."""

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """Show what lets messages out only to look at to those who may not send."""
        fields = tuple(super().get_readonly_fields(request, obj))
        return fields if may_send(request.user) else (*fields, *LETS_OUT)

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
