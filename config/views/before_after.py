"""The page of a segment that shows what changed after learners entered it, and why that is weak."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
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
from activity.models import Course
from common.clock import utc_now
from common.dates import day_text, instant_text
from config.views.counting import counted
from config.views.segment_page import MOST_COURSES, asked_course
from experiments.metrics.around import metrics_around
from experiments.queries.around import (
    control_enrollments,
    known_entries,
    pairs_around,
    started_experiments,
)
from experiments.reporting.around import (
    Around,
    Line,
    Pairs,
    around,
    by_itself,
    held_out_line,
    lines,
    reached_within,
    split_entries,
    verdict,
)
from experiments.reporting.around_plots import around_svg
from experiments.reporting.around_text import NAMES, Who, Without, expectation, left_out, weaknesses
from experiments.reporting.subgroups import FEWEST
from interventions.queries.segment_messages import (
    HeldOut,
    held_out_entries,
    messages_of_segment,
)
from segmentation.models import Segment
from segmentation.queries import courses_of_playbook, entries_of

DAYS = (7, 14, 28)
WEEKS = {4: "4 weeks", 12: "12 weeks", 26: "half a year", 52: "a year"}
USUAL_WEEKS = 26
# The latest entries of the segment in the course. More would take too long for a page.
MOST_ENTRIES = 20_000
MOST_EXPERIMENTS = 5


@dataclass(frozen=True)
class HoldoutFound:
    """The latest holdout with its numbers of learners, and its outcomes after the entry."""

    name: str
    since: str
    held_out: int
    others: int
    lines: list[Line]


@dataclass(frozen=True)
class Found:
    """What was counted: the numbers of learners, the outcomes, and those of a holdout."""

    who: Who
    outcomes: list[Around]
    holdout: HoldoutFound | None


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
        count = partial(found_around, segment, course, days=days, weeks=weeks, as_of=as_of)
        found = counted(request, [course], count)
        shown |= {"count": found, "as_of": instant_text(as_of, zone=course.time_zone)}
        shown |= _texts(found.found, days) if found.found else {}
    return render(request, "config/before_after.html", shown)


def _asked(request: HttpRequest, name: str, choices: Any, *, usual: int) -> int:
    asked = request.GET.get(name, "")
    return next((each for each in choices if str(each) == asked), usual)


def _texts(found: Found, days: int) -> dict[str, Any]:
    """Return the sentences, tables and plots of what was counted."""
    without, with_messages = NAMES[found.who.kind]
    shown = [each for each in found.outcomes if each.changes]
    return {
        "found": found,
        "expectation": expectation(found.who),
        "by_itself": [text for each in shown if (text := by_itself(each, days=days))],
        "outcomes": [
            (
                each.metric.name,
                verdict(each),
                list(lines(each, without=without, with_messages=with_messages)),
                # The drawing has no text of a user.
                mark_safe(around_svg(each)),  # noqa: S308
            )
            for each in shown
        ],
        "weaknesses": list(weaknesses(found.who)),
        "left_out": left_out(found.who),
    }


def found_around(
    segment: Segment, course: Course, *, days: int, weeks: int, as_of: datetime
) -> Found:
    """Return the outcomes around the entries of the last weeks. At most ten queries."""
    metrics, window = metrics_around(days), timedelta(hours=24 * days)
    entered = entries_of(
        segment.pk, course, since=as_of - timedelta(weeks=weeks), until=as_of, most=MOST_ENTRIES
    )
    known = known_entries(entered, course, window=window, as_of=as_of)
    messages = messages_of_segment(segment.pk, course)
    first_at = min((at for times in messages.values() for at in times), default=None)
    split = split_entries(known.starts, messages, window=window)
    held = held_out_entries(known.starts, course)
    apart = control_enrollments(segment, split.since)
    apart |= set(held.held_out if held else ()) & set(split.since)
    since = {each: at for each, at in split.since.items() if each not in apart}
    reached = reached_within(since, messages, window=window)
    kind, without, with_messages = _groups(split.earlier, since, reached, has_sent=bool(messages))
    pairs = pairs_around(known.starts, metrics=metrics, as_of=as_of)
    who = Who(
        kind,
        days,
        day_text(first_at, zone=course.time_zone) if first_at else "",
        without=len(without),
        with_messages=len(with_messages),
        reached=len(reached),
        new=known.new,
        not_ended=known.not_ended,
        over=known.over,
        between=split.between,
        control=len(apart),
    )
    outcomes = [
        around(each, _of(pairs[each.key], without), _of(pairs[each.key], with_messages))
        for each in metrics
    ]
    return Found(who, outcomes, _holdout(held, metrics, pairs, course))


def _groups(
    earlier: dict[int, datetime],
    since: dict[int, datetime],
    reached: set[int],
    *,
    has_sent: bool,
) -> tuple[Without, set[int], set[int]]:
    """Return who stands for learners without a message, and both groups."""
    if not has_sent:
        return Without.ALL, set(earlier), set()
    if len(earlier) >= FEWEST:
        return Without.EARLIER, set(earlier), set(since)
    unsent = set(since) - reached
    if min(len(unsent), len(reached)) >= FEWEST:
        return Without.UNSENT, unsent, reached
    return Without.NOBODY, set(), set(since)


def _of(pairs: Pairs, among: set[int]) -> Pairs:
    return {each: pair for each, pair in pairs.items() if each in among}


def _holdout(
    held: HeldOut | None, metrics: Any, pairs: Mapping[str, Pairs], course: Course
) -> HoldoutFound | None:
    if held is None:
        return None
    found = [
        held_out_line(
            each, _of(pairs[each.key], set(held.held_out)), _of(pairs[each.key], set(held.others))
        )
        for each in metrics
    ]
    return HoldoutFound(
        held.holdout.name,
        day_text(held.holdout.starts_at, zone=course.time_zone),
        len(held.held_out),
        len(held.others),
        [line for line in found if line is not None],
    )
