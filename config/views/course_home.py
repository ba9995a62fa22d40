"""The page of a course: its learners by segment, its messages, its experiments, what is missing."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from django.contrib.admin.views.decorators import staff_member_required
from django.contrib.auth.decorators import permission_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils.safestring import SafeString, mark_safe
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from activity.access import in_course, viewable
from activity.models import Course
from activity.queries import feed_health, in_scope
from common.admin import list_url
from common.clock import local_date, local_midnight, utc_now
from common.dates import instant_text
from config.readiness import hindrances_of
from config.setup import REQUIRED, SetupStep, steps_of
from config.views.counting import counted
from config.views.results import course_state, result_sentence, season_sentence
from config.views.today import Item, Staff
from experiments.models import Experiment, ExperimentStatus
from experiments.queries import beginnings
from interventions.queries.course_messages import (
    MOST_COUNTED,
    CourseMessages,
    messages_of_course,
)
from interventions.queries.guards import Guards, guards_of
from segmentation.charts import DaySizes, sparkline
from segmentation.models import Membership, Playbook, PlaybookMode, Segment, SegmentStatus
from segmentation.queries import number_in_any, sizes_in_course
from segmentation.rules import in_english

DAYS = 28
WEEK = 7
KEPT = (SegmentStatus.ACTIVE, SegmentStatus.FROZEN)
# A course with more than this has its experiments in the list of reports.
SHOWN = 10


@dataclass(frozen=True)
class SegmentLine:
    """A segment with its number of learners in the course now and over the last days."""

    name: str
    rule: str
    address: str
    members: str
    now: int
    entered: int
    left: int
    plot: SafeString


@dataclass(frozen=True)
class PlaybookSection:
    """The segments of a playbook, how many learners are in none of them, and how many too many.

    `gone` counts the members who do not take the course now: a frozen segment keeps them.
    """

    name: str
    address: str
    lines: list[SegmentLine]
    is_exclusive: bool
    in_none: int
    gone: int


@dataclass(frozen=True)
class CourseLearners:
    """The learners of the course: `number` counts those whom segments look at."""

    number: int
    playbooks: list[PlaybookSection]


@dataclass(frozen=True)
class CourseHome:
    """What the page says besides the numbers of learners.

    A viewer without the right to see something is not told that there is none of it.
    """

    state: str
    as_of: str
    season: str
    messages: list[str]
    results: list[Item]
    steps: list[SetupStep]
    hindrances: list[str]
    guards: Guards
    sees_segments: bool
    sees_experiments: bool
    feed_holds: bool = False

    @property
    def next_step(self) -> str:
        """Return the name of the first step that is not done, empty if all are."""
        return next((step.name for step in self.steps if step.todo), "")

    @property
    def is_ready(self) -> bool:
        """Return whether each step is done without which no message goes out."""
        return not any(step.todo for step in self.steps if step.name in REQUIRED)


@never_cache
@require_safe
@staff_member_required
@permission_required("activity.view_course", raise_exception=True)
def course_home(request: HttpRequest, course_id: int) -> HttpResponse:
    """Show the course as it is now, in sentences with numbers."""
    course = get_object_or_404(viewable(Course.objects.all(), request.user), pk=course_id)
    now = utc_now()
    home = home_of(course, viewer=request.user, now=now)
    count = counted(request, [course], partial(learners_of, course, viewer=request.user, now=now))
    return render(
        request, "config/course_home.html", {"course": course, "home": home, "count": count}
    )


def learners_of(course: Course, *, viewer: Staff, now: datetime) -> CourseLearners:
    """Return the numbers of learners. Two queries, and two or three for a playbook."""
    as_of = course.clock_stopped_at or now
    number = in_scope(course, as_of=as_of).count()
    return CourseLearners(number, list(_playbooks(course, viewer, as_of, number)))


def home_of(course: Course, *, viewer: Staff, now: datetime) -> CourseHome:
    """Return the page's contents without the numbers of learners. About twelve queries."""
    as_of = course.clock_stopped_at or now
    sees_messages = viewer.has_perm("interventions.view_delivery")
    return CourseHome(
        state=course_state(course, now=now),
        as_of=instant_text(as_of, zone=course.time_zone),
        season=season_sentence(course, as_of=as_of),
        messages=list(_messages(course, as_of)) if sees_messages else [],
        results=list(_results(course, viewer, as_of)),
        steps=steps_of(course, now=now),
        hindrances=list(hindrances_of(course, now=now)),
        guards=guards_of(course),
        sees_segments=viewer.has_perm("segmentation.view_segment"),
        sees_experiments=viewer.has_perm("experiments.view_experiment"),
        feed_holds=feed_health(course, now=as_of).status != "ok",
    )


def _playbooks(
    course: Course, viewer: Staff, as_of: datetime, learners: int
) -> Iterator[PlaybookSection]:
    seen = viewable(Segment.objects.filter(playbook__courses=course, status__in=KEPT), viewer)
    by_playbook: dict[Playbook, list[Segment]] = {}
    for segment in seen.select_related("playbook").order_by("playbook__key", "priority", "key"):
        by_playbook.setdefault(segment.playbook, []).append(segment)
    for playbook, segments in by_playbook.items():
        ids = [segment.pk for segment in segments]
        sizes = sizes_in_course(ids, course, days=DAYS, as_of=as_of)
        is_exclusive = playbook.mode == PlaybookMode.EXCLUSIVE
        # Where each learner is in one segment at most, the sizes add up.
        members = sum(each[-1].members for each in sizes.values())
        if not is_exclusive:
            members = number_in_any(ids, course.enrollments.order_by())
        here = number_in_any(ids, in_scope(course, as_of=as_of))
        yield PlaybookSection(
            name=playbook.name,
            address=reverse("playbook", args=[playbook.pk]),
            lines=[_line(segment, course, sizes[segment.pk]) for segment in segments],
            is_exclusive=is_exclusive,
            # Somebody may enter or leave between two queries.
            in_none=max(learners - here, 0),
            gone=max(members - here, 0),
        )


def _line(segment: Segment, course: Course, days: tuple[DaySizes, ...]) -> SegmentLine:
    in_both = {"segment__id__exact": segment.pk, "enrollment__course__id__exact": course.pk}
    return SegmentLine(
        name=segment.name,
        rule=in_english(segment.rule),
        address=f"{reverse('segment', args=(segment.pk,))}?course={course.pk}",
        members=list_url(Membership, in_both),
        now=days[-1].members,
        entered=sum(day.entered for day in days[-WEEK:]),
        left=sum(day.left for day in days[-WEEK:]),
        # The drawing library escapes all texts, and the drawing has none of a user.
        plot=mark_safe(sparkline(tuple(day.members for day in days))),  # noqa: S308
    )


def _messages(course: Course, as_of: datetime) -> Iterator[str]:
    midnight = local_midnight(local_date(as_of, course.time_zone), course.time_zone)
    found = messages_of_course(course, since=midnight, now=as_of)
    yield f"{_counted(found.sent)} went out today, since midnight in {course.time_zone}."
    if found.doubtful:
        yield f"{_counted(found.doubtful)} may have gone out: nobody knows."
    if course.clock_stopped_at is None:
        yield from _to_come(course, found, as_of)
    elif left := found.waiting + found.later:
        still = "because the clock of this simulated course stands still"
        yield f"{_waiting(left)} for good, {still}."


def _to_come(course: Course, found: CourseMessages, as_of: datetime) -> Iterator[str]:
    if found.waiting:
        yield f"{_waiting(found.waiting)}."
        yield from _held(found)
    if found.next_at is not None:
        yield _first(course, found, found.next_at, as_of)
    if found.later_at is not None:
        first = instant_text(found.later_at, zone=course.time_zone)
        verb = "is" if found.later == 1 else "are"
        yield f"{_counted(found.later)} {verb} planned for later, the first for {first}."
    elif not found.waiting:
        yield "No message waits."


def _held(found: CourseMessages) -> Iterator[str]:
    """Say how many messages wait for a person: for the end of a pause, or for a better rule."""
    if not found.held:
        return
    whose = "It is" if found.waiting == 1 else f"{found.held:,} of them are"
    if 1 == found.held < found.waiting:
        whose = "1 of them is"
    them = "it" if found.held == 1 else "them"
    yield f"{whose} held until somebody lets {them} go out."


def _first(course: Course, found: CourseMessages, next_at: datetime, as_of: datetime) -> str:
    which = "The first of the others" if found.held else "The first"
    if next_at <= as_of:
        return f"{which} is due now."
    return f"{which} goes out on {instant_text(next_at, zone=course.time_zone)} or later."


def _waiting(number: int) -> str:
    return f"{_counted(number)} {'waits' if number == 1 else 'wait'}"


def _counted(number: int) -> str:
    if number == 1:
        return "1 message"
    return f"{number:,} messages" if number < MOST_COUNTED else f"{MOST_COUNTED:,} or more messages"


def _results(course: Course, viewer: Staff, as_of: datetime) -> Iterator[Item]:
    running = viewable(Experiment.objects.filter(status=ExperimentStatus.RUNNING), viewer)
    here = in_course(running, course.pk)
    shown = here.order_by("-started_at", "id")[:SHOWN]
    for each in beginnings(shown, viewer=viewer):
        address = reverse("experiments:report", args=(each.experiment.key,))
        yield Item(result_sentence(each, now=as_of), "Read the report", address)
