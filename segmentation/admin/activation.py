"""Ask for confirmation before an activation starts messages for learners already in a segment."""

from dataclasses import dataclass

from django.contrib.admin import ModelAdmin
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.db.models import QuerySet
from django.http import HttpRequest
from django.template.response import TemplateResponse

from activity.access import Viewer
from activity.models import Course
from common.clock import utc_now
from segmentation import models
from segmentation.admin.preview import count_matches
from segmentation.operations.segments import EVALUATED
from segmentation.queries import courses_of_playbook

CONFIRMED = "confirmed"
# The courses that are counted for the page: the last to start.
MOST_COUNTED = 20


@dataclass(frozen=True)
class Present:
    """The learners already in a segment: their number at most, and a sentence per course."""

    segment: models.Segment
    learners: int
    lines: list[str]


def is_confirmed(request: HttpRequest) -> bool:
    """Return whether the user confirmed the action."""
    return CONFIRMED in request.POST


def ask_about_present(
    page: "ModelAdmin[models.Segment]",
    request: HttpRequest,
    queryset: QuerySet[models.Segment],
    action: str,
) -> TemplateResponse:
    """Return the page that says how many learners the activation would affect, and asks again."""
    found = [present_in(segment, request.user) for segment in queryset.select_related("playbook")]
    context = {
        **page.admin_site.each_context(request),
        "title": "Activate, and message or draw also those already in?",
        "found": found,
        "learners": f"{sum(one.learners for one in found):,}",
        "action": action,
        "confirmed": CONFIRMED,
        "field": ACTION_CHECKBOX_NAME,
        "opts": page.model._meta,
    }
    return TemplateResponse(request, "segmentation/confirm_present.html", context)


def present_in(segment: models.Segment, viewer: Viewer) -> Present:
    """Return the learners of live courses that the segment's rule matches now."""
    if segment.status in EVALUATED:
        return Present(segment, 0, ["The segment is active already: nothing changes."])
    learners, lines = 0, []
    courses = list(courses_of_playbook(segment.playbook_id, viewer=viewer)[: MOST_COUNTED + 1])
    for course in courses[:MOST_COUNTED]:
        number, words = _present_of(segment, course)
        learners += number
        lines.append(words)
    if len(courses) > MOST_COUNTED:
        lines.append("The learners of the playbook's earlier courses are not counted here.")
    nobody = ["No learners: the playbook is kept for no course."]
    return Present(segment, learners, lines or nobody)


def _present_of(segment: models.Segment, course: Course) -> tuple[int, str]:
    if course.live_since is None or course.live_since > utc_now() or course.clock_stopped_at:
        return 0, f"{course}: no learners, because the course is not live."
    counted = count_matches(segment, course)
    if isinstance(counted, str):
        return 0, f"{course}: not counted. {counted}"
    return counted.matches, f"{course}: {counted.matches:,} of {counted.of:,} learners in scope."
