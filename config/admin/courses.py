"""The admin page of courses, which checks the permission to let messages out."""

from typing import Any

from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse

from activity.admin import CourseAdmin
from activity.models import Course
from activity.rights import may_send
from common.clock import utc_now
from config.readiness import readiness_of

# These fields let messages out. If late events may start messages, an import of old events messages
# all learners that it moves.
LETS_OUT = ("live_since", "late_after_hours", "late_events_start")

admin.site.unregister(Course)


@admin.register(Course)
class LiveCourseAdmin(CourseAdmin):
    """Courses. Fields that let messages out need the permission to send."""

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """Return also the fields that let messages out, if the user may not send."""
        fields = tuple(super().get_readonly_fields(request, obj))
        return fields if may_send(request.user) else (*fields, *LETS_OUT)

    def page_links(self, row: Any) -> list[tuple[str, str]]:
        """Return the page of the course for daily work."""
        return [("Learners, messages and results", reverse("course-home", args=(row.pk,)))]

    def response_post_save_add(self, request: HttpRequest, obj: Any) -> HttpResponse:
        """Lead from a new course to its page, which says what comes next."""
        may_view = request.user.has_perm("activity.view_course")
        found: HttpResponse = super().response_post_save_add(request, obj)
        return redirect("course-home", obj.pk) if may_view else found

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Save the course. If "live since" is set, show whether messages go out, and the guards."""
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
