"""The page of a segment that shows what changed after learners entered it, and why that is weak."""

from functools import partial
from typing import Any

from django.contrib.admin.views.decorators import staff_member_required
from django.contrib.auth.decorators import permission_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils.safestring import mark_safe
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from activity.access import viewable
from common.clock import utc_now
from common.dates import instant_text
from config.views.around import Asked, Found, found_around
from config.views.counting import counted
from config.views.segment_page import MOST_COURSES, asked_course
from experiments.queries.around import started_experiments
from experiments.reporting.around import by_itself, lines, unknown_intervals, verdict
from experiments.reporting.around_plots import around_svg
from experiments.reporting.around_text import (
    NAMES,
    Without,
    expectation,
    left_out,
    weaknesses,
)
from segmentation.models import Segment
from segmentation.queries import courses_of_playbook

DAYS = (7, 14, 28)
WEEKS = {4: "4 weeks", 12: "12 weeks", 26: "half a year", 52: "a year"}
USUAL_WEEKS = 26
MOST_EXPERIMENTS = 5


@never_cache
@require_safe
@staff_member_required
@permission_required(
    ("segmentation.view_segment", "experiments.view_experiment"), raise_exception=True
)
def before_after(request: HttpRequest, segment_id: int) -> HttpResponse:
    """Show how outcomes changed from before to after entering the segment, in one course."""
    seen = viewable(Segment.objects.select_related("playbook"), request.user)
    segment = get_object_or_404(seen, pk=segment_id)
    courses = list(courses_of_playbook(segment.playbook_id, viewer=request.user)[:MOST_COURSES])
    course = asked_course(request, courses)
    days = _asked(request, "days", DAYS, usual=DAYS[0])
    weeks = _asked(request, "weeks", WEEKS, usual=USUAL_WEEKS)
    shown = {
        "segment": segment,
        "courses": courses,
        "course": course,
        "days": days,
        "weeks": weeks,
        "choices": {"days": DAYS, "weeks": list(WEEKS.items())},
        "experiments": started_experiments(segment, viewer=request.user)[:MOST_EXPERIMENTS],
    }
    if course is not None:
        as_of = course.clock_stopped_at or utc_now()
        asked = Asked(segment, course, days=days, weeks=weeks, as_of=as_of)
        found = counted(request, [course], partial(found_around, asked))
        shown |= {"count": found, "as_of": instant_text(as_of, zone=course.time_zone)}
        shown |= _texts(found.found, days) if found.found else {}
    return render(request, "config/before_after.html", shown)


def _asked(request: HttpRequest, name: str, choices: Any, *, usual: int) -> int:
    asked = request.GET.get(name, "")
    return next((each for each in choices if str(each) == asked), usual)


def _texts(found: Found, days: int) -> dict[str, Any]:
    """Return the sentences, tables and plots of what was counted."""
    names = dict(zip(("without", "with_messages"), NAMES[found.who.kind], strict=True))
    shown = [each for each in found.outcomes if each.changes]
    return {
        "found": found,
        "expectation": expectation(found.who),
        "by_itself": [text for each in shown if (text := by_itself(each, days=days))],
        "outcomes": [
            (
                each.metric.name,
                verdict(each),
                list(lines(each, **names)),
                unknown_intervals(each, **names),
                # The drawing has no text of a user.
                mark_safe(around_svg(each)),  # noqa: S308
            )
            for each in shown
        ],
        "is_compared": found.who.kind not in (Without.ALL, Without.NOBODY),
        "weaknesses": list(weaknesses(found.who)),
        "left_out": left_out(found.who),
    }
