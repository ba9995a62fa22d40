"""The button that lets messages out although the events of a course do not come as usual."""

from django.contrib import messages
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.admin.views.decorators import staff_member_required
from django.contrib.auth.decorators import permission_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST

from activity.access import viewable
from activity.models import Course
from activity.operations import trust_feed
from activity.rights import SEND_MESSAGES
from common.clock import utc_now

RIGHTS = ["activity.view_course", SEND_MESSAGES]


@never_cache
@require_POST
@staff_member_required
@permission_required(RIGHTS, raise_exception=True)
def trust(request: HttpRequest, course_id: int) -> HttpResponse:
    """Release what the unusual feed of the course holds, for a week."""
    course = get_object_or_404(viewable(Course.objects.all(), request.user), pk=course_id)
    if trust_feed(course.pk, by=request.user.get_username(), now=utc_now()):
        note = "Said that the unusual events are as they should be."
        user_id = request.user.pk or 0
        LogEntry.objects.log_actions(user_id, [course], CHANGE, note, single_object=True)
        messages.success(request, f"Messages of {course} go out for a week, whatever events come.")
    return redirect("course-home", course.pk)
