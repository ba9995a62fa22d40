"""The button that takes a course live."""

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
from activity.operations import go_live
from activity.rights import SEND_MESSAGES
from common.clock import utc_now

RIGHTS = ["activity.view_course", "activity.change_course", SEND_MESSAGES]


@never_cache
@require_POST
@staff_member_required
@permission_required(RIGHTS, raise_exception=True)
def take_live(request: HttpRequest, course_id: int) -> HttpResponse:
    """Take the course live, once. Nobody is messaged at once."""
    course = get_object_or_404(viewable(Course.objects.all(), request.user), pk=course_id)
    if go_live(course, now=utc_now()):
        note = "Took the course live."
        user_id = request.user.pk or 0
        LogEntry.objects.log_actions(user_id, [course], CHANGE, note, single_object=True)
        said = "Learners who enter a segment from now on get what its nudges send."
        messages.success(request, f"{course} is live. {said}")
    return redirect("course-home", course.pk)
