"""What is asked before a segment is activated for those who are in it already."""

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


@dataclass(frozen=True)
class _Present:
    """What the activation would start for those who are in, in words, and of how many at most."""

    segment: models.Segment
    learners: int
    lines: list[str]


def is_confirmed(request: HttpRequest) -> bool:
    """Return whether the question was answered with yes."""
    return CONFIRMED in request.POST


def ask_about_present(
    page: "ModelAdmin[models.Segment]",
    request: HttpRequest,
    queryset: QuerySet[models.Segment],
    action: str,
) -> TemplateResponse:
    """Return the page that says whom the activation would message, and asks whether it is meant."""
    found = [_present(segment, request.user) for segment in queryset.select_related("playbook")]
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


def _present(segment: models.Segment, viewer: Viewer) -> _Present:
    if segment.status in EVALUATED:
        return _Present(segment, 0, ["It is active already: nothing changes."])
    learners, lines = 0, []
    for course in courses_of_playbook(segment.playbook_id, viewer=viewer):
        number, words = _present_in(segment, course)
        learners += number
        lines.append(words)
    return _Present(segment, learners, lines or ["Its playbook is kept for no course: nobody."])


def _present_in(segment: models.Segment, course: Course) -> tuple[int, str]:
    if course.live_since is None or course.live_since > utc_now() or course.clock_stopped_at:
        return 0, f"{course}: nobody, as the course is not live."
    counted = count_matches(segment, course)
    if isinstance(counted, str):
        return 0, f"{course}: not counted. {counted}"
    return counted.matches, f"{course}: {counted.matches:,} of {counted.of:,} who could be in it."
