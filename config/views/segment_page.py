"""The page of a segment in one course: size over time, flows, overlap, evaluations, rules."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import partial

from django.contrib.admin.views.decorators import staff_member_required
from django.contrib.auth.decorators import permission_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils.safestring import SafeString, mark_safe
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from activity.access import viewable
from activity.models import Course
from activity.switch import chosen_course
from activity.texts import lower_first
from common.clock import begin_of_days, utc_now
from common.dates import in_zone, instant_text
from config.views.counting import counted
from config.views.today import Staff
from interventions.models import Cadence, CadenceStatus
from segmentation.charts import DaySizes, sizes_chart
from segmentation.models import EvaluationDay, Segment, SegmentStatus, SegmentVersion
from segmentation.queries import (
    courses_of_playbook,
    evaluation_days,
    flows_of,
    freezes_of,
    sizes_in_course,
)
from segmentation.rules import in_english

DAYS = 90
FLOW_DAYS = 28
EVALUATION_DAYS = 14
MOST_COURSES = 100
MOST_VERSIONS = 20
WIDTHS = {"wide": 880, "narrow": 280}
KEPT = (SegmentStatus.ACTIVE, SegmentStatus.FROZEN)
NO_OTHER = "no other segment"


@dataclass(frozen=True)
class Share:
    """Another segment and a number of learners, with their share of all in percent."""

    name: str
    number: int
    percent: int


@dataclass(frozen=True)
class EvaluationLine:
    """The evaluations of a day: of the whole course, but for the entries and leavings."""

    day: date
    last_at: str
    evaluated: int
    seconds: float
    slowest_seconds: float
    entered: int
    left: int
    failed: int
    error: str


@dataclass(frozen=True)
class History:
    """What a kept segment has in a course. `days` are from the first day on."""

    days: tuple[DaySizes, ...]
    evaluations: list[EvaluationLine]
    came_from: list[Share]
    went_to: list[Share]
    also_in: list[Share]

    @property
    def now(self) -> int:
        """Return the present number of members."""
        return self.days[-1].members


@never_cache
@require_safe
@staff_member_required
@permission_required("segmentation.view_segment", raise_exception=True)
def segment_page(request: HttpRequest, segment_id: int) -> HttpResponse:
    """Show the segment in the chosen course of its playbook, or in the latest."""
    seen = viewable(Segment.objects.select_related("playbook"), request.user)
    segment = get_object_or_404(seen, pk=segment_id)
    courses = list(courses_of_playbook(segment.playbook_id, viewer=request.user)[:MOST_COURSES])
    course = asked_course(request, courses)
    shown = {
        "segment": segment,
        "courses": courses,
        "course": course,
        "rule": in_english(segment.rule),
        "leave_rule": lower_first(in_english(segment.leave_rule)) if segment.leave_rule else "",
        "versions": _versions(segment, course.time_zone if course else "UTC"),
        "freezes": list(_freezes(segment, course.time_zone if course else "UTC")),
        "cadences": _cadences(segment, request),
        "is_kept": segment.status in KEPT,
    }
    in_course = _in_course(request, segment, course) if course else {}
    return render(request, "config/segment.html", shown | in_course)


def asked_course(request: HttpRequest, courses: list[Course]) -> Course | None:
    """Return the course of the address, else the chosen one, else the first; None without any."""
    chosen = chosen_course(request)
    asked = request.GET.get("course", str(chosen.pk) if chosen else "")
    found = (course for course in courses if str(course.pk) == asked)
    return next(found, courses[0] if courses else None)


def _versions(segment: Segment, zone: str) -> list[tuple[SegmentVersion, str, str]]:
    """Return the latest versions, each with its instant and its rule in words."""
    versions = segment.versions.select_related("created_by").order_by("-version")
    return [
        (each, instant_text(each.created_at, zone=zone), in_english(each.rule))
        for each in versions[:MOST_VERSIONS]
    ]


def _cadences(segment: Segment, request: HttpRequest) -> list[Cadence]:
    seen = viewable(Cadence.objects.filter(segment=segment), request.user)
    return list(seen.exclude(status=CadenceStatus.ARCHIVED).order_by("name")[:MOST_VERSIONS])


def _freezes(segment: Segment, zone: str) -> Iterator[str]:
    """Yield since when and until when the segment was frozen, and why."""
    for each in freezes_of(segment):
        began = instant_text(each.frozen_at, zone=zone)
        ended = instant_text(each.thawed_at, zone=zone) if each.thawed_at else ""
        until = f"until {ended}" if ended else "until now"
        yield f"Frozen from {began} {until}, with version {each.version} of its rules: {each.error}"


def _in_course(request: HttpRequest, segment: Segment, course: Course) -> dict[str, object]:
    as_of = course.clock_stopped_at or utc_now()
    shown: dict[str, object] = {"as_of": instant_text(as_of, zone=course.time_zone)}
    if segment.status in KEPT:
        count = partial(history_of, segment, course, viewer=request.user, as_of=as_of)
        found = counted(request, [course], count)
        history = found.found
        shown |= {"count": found, "history": history}
        shown["plots"] = plots_of(history.days) if history else []
    return shown


def history_of(segment: Segment, course: Course, *, viewer: Staff, as_of: datetime) -> History:
    """Return the segment's sizes, flows and evaluations in the course. Six queries."""
    others = viewable(Segment.objects.exclude(pk=segment.pk), viewer).filter(status__in=KEPT)
    names = dict(others.filter(playbook__courses=course).values_list("pk", "name"))
    since = begin_of_days(FLOW_DAYS, as_of=as_of, zone=course.time_zone)
    flows = flows_of(segment.pk, list(names), course, since=since, as_of=as_of)
    days = sizes_in_course([segment.pk], course, days=DAYS, as_of=as_of)[segment.pk]
    return History(
        days=days,
        evaluations=list(_evaluations(course, days[-EVALUATION_DAYS:])),
        came_from=_shares(flows.came_from, names, of=sum(flows.came_from.values())),
        went_to=_shares(flows.went_to, names, of=sum(flows.went_to.values())),
        also_in=_shares(flows.also_in, names, of=days[-1].members),
    )


def _evaluations(course: Course, days: Sequence[DaySizes]) -> Iterator[EvaluationLine]:
    """Yield the days on which the course was evaluated, the latest first."""
    moves = {each.day: each for each in days}
    for each in evaluation_days(course, since=days[0].day):
        if each.day in moves:
            yield EvaluationLine(
                day=each.day,
                last_at=f"{in_zone(each.last_at, course.time_zone)[0]:%H:%M}",
                evaluated=each.evaluated,
                seconds=each.seconds,
                slowest_seconds=each.slowest_seconds,
                entered=moves[each.day].entered,
                left=moves[each.day].left,
                failed=each.failed,
                error=_failures(each),
            )


def _failures(day: EvaluationDay) -> str:
    if not day.failed:
        return ""
    times = "once" if day.failed == 1 else f"{day.failed:,} times"
    return (
        f"On {day.day:%a %-d %b}, the evaluation of a learner failed {times} and was delayed."
        f" The last error: {day.error}"
    )


def _shares(counts: Mapping[int | None, int], names: dict[int, str], *, of: int) -> list[Share]:
    """Return the largest number first."""
    found = [
        Share(names[key] if key is not None else NO_OTHER, number, round(100 * number / max(of, 1)))
        for key, number in counts.items()
    ]
    return sorted(found, key=lambda each: (-each.number, each.name))


def plots_of(days: Sequence[DaySizes]) -> list[tuple[str, SafeString]]:
    """Return the plot for wide and for narrow windows."""
    # The drawing has no text of a user, and the drawing library escapes all texts.
    return [
        (size, mark_safe(sizes_chart(tuple(days), width=width)))  # noqa: S308
        for size, width in WIDTHS.items()
    ]
