"""The start page: the decisions that wait for the user today, with links to their pages."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar

from django.contrib.admin.views.decorators import staff_member_required
from django.contrib.auth.models import AnonymousUser, User
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from activity.access import for_user, named, viewable
from activity.models import Course, CourseScoped, RejectedEvent
from common.admin import list_url, page_url
from common.clock import utc_now
from config.views.results import course_state, result_sentence
from experiments.models import Experiment, ExperimentStatus
from experiments.queries import beginnings
from interventions.models import (
    Cadence,
    CadenceStatus,
    Delivery,
    DeliveryState,
    Nudge,
    WebhookEndpoint,
)
from interventions.views.task_lines import waiting_sentences
from segmentation.models import Segment, SegmentStatus, Surge, SurgeState

Staff = User | AnonymousUser
Rows = TypeVar("Rows", bound=CourseScoped)
# The limit of listed rows per kind. The linked list shows all rows.
SHOWN = 20
MOST_COUNTED = 1_000
# A message that failed earlier can no longer go out.
FAILED_RECENTLY = timedelta(days=7)
# A course that ended earlier is not listed.
RECENTLY = timedelta(days=14)


@dataclass(frozen=True)
class Item:
    """A sentence, and the page of its link."""

    sentence: str
    link: str
    address: str


@dataclass(frozen=True)
class Today:
    """The waiting decisions, the present and future results, and the courses."""

    tasks: list[Item]
    results: list[Item]
    courses: list[Item]
    is_new: bool


Source = Callable[[Staff, datetime], Iterator[Item]]


@never_cache
@require_safe
@staff_member_required
def today(request: HttpRequest) -> HttpResponse:
    """Show the tasks of the user, the results and the courses."""
    return render(request, "config/today.html", {"today": today_for(request.user, now=utc_now())})


def today_for(viewer: Staff, *, now: datetime) -> Today:
    """Return today's work that the viewer may see. Each kind takes one bounded query, tasks two."""
    courses = list(_courses(viewer, now))
    return Today(
        tasks=[item for source in TASKS for item in source(viewer, now)],
        results=list(_results(viewer, now)),
        courses=courses,
        is_new=not courses and not Course.objects.exists(),
    )


def _surges(viewer: Staff, now: datetime) -> Iterator[Item]:
    del now
    seen = viewable(Surge.objects.select_related("segment__playbook", "course"), viewer)
    for surge in seen.filter(state=SurgeState.HELD).order_by("day", "id")[:SHOWN]:
        yield Item(
            f"Many learners of {surge.course} entered {surge.segment.name} at once on"
            f" {surge.day:%-d %B}, because time passed. Nothing has started for them yet.",
            "Decide whether it starts",
            reverse("admin:segmentation_segment_surges", args=(surge.segment_id,)),
        )


def _frozen(viewer: Staff, now: datetime) -> Iterator[Item]:
    del now
    seen = viewable(Segment.objects.select_related("playbook"), viewer)
    frozen = named(seen, viewer).filter(status=SegmentStatus.FROZEN)
    for segment in frozen.order_by("name", "id")[:SHOWN]:
        yield Item(
            f"The rule of {segment} failed. Its members stay as they were, and its messages wait.",
            "See the error",
            page_url(segment),
        )


def _paused(viewer: Staff, now: datetime) -> Iterator[Item]:
    del now
    seen = viewable(Cadence.objects.select_related("segment__playbook"), viewer)
    paused = named(seen, viewer).filter(paused=True, status=CadenceStatus.ACTIVE)
    for cadence in paused.order_by("name", "id")[:SHOWN]:
        sentence = f"The cadence “{cadence}” is paused. Its messages are held."
        yield Item(sentence, "See why, or resume it", page_url(cadence))


def _endpoints(viewer: Staff, now: datetime) -> Iterator[Item]:
    del now
    seen = viewable(WebhookEndpoint.objects.select_related("course"), viewer)
    for endpoint in seen.filter(disabled_at__isnull=False).order_by("pk")[:SHOWN]:
        of = str(endpoint.course) if endpoint.course else "all courses without their own"
        sentence = (
            f"The webhook endpoint of {of} says that it no longer exists, so it is switched off. "
            "Its messages wait."
        )
        yield Item(sentence, "Enter another address", page_url(endpoint))


def _in_doubt(viewer: Staff, now: datetime) -> Iterator[Item]:
    del now
    yield from _counted(
        viewable(Delivery.objects.filter(state=DeliveryState.IN_DOUBT), viewer),
        "Nobody knows whether {messages} reached the mail server. They are not sent again.",
        "Look them up and decide",
        list_url(Delivery, {"state__exact": DeliveryState.IN_DOUBT}),
    )


def _failed(viewer: Staff, now: datetime) -> Iterator[Item]:
    failed = viewable(Delivery.objects.filter(state=DeliveryState.FAILED), viewer)
    yield from _counted(
        failed.filter(finished_at__gt=now - FAILED_RECENTLY, finished_at__lte=now),
        "In the last seven days {messages} failed and did not go out.",
        "See why, or try again",
        list_url(Delivery, {"state__exact": DeliveryState.FAILED}),
    )


def _rejected(viewer: Staff, now: datetime) -> Iterator[Item]:
    del now
    yield from _counted(
        viewable(RejectedEvent.objects.filter(replayed_at=None, replay_at=None), viewer),
        "{events} could not be stored, so what these learners did is not counted.",
        "See the reasons",
        list_url(RejectedEvent, {}),
    )


def _counted(rows: QuerySet[Rows], words: str, link: str, address: str) -> Iterator[Item]:
    """Yield one sentence for all rows, if there are any."""
    number = rows.order_by()[: MOST_COUNTED + 1].count()
    if number:
        said = f"{number:,}" if number <= MOST_COUNTED else f"more than {MOST_COUNTED:,}"
        sentence = words.format(
            messages="1 message" if number == 1 else f"{said} messages",
            events="1 event" if number == 1 else f"{said} events",
        )
        yield Item(sentence[0].upper() + sentence[1:], link, address)


def _instructor_tasks(viewer: Staff, now: datetime) -> Iterator[Item]:
    for share, sentence in waiting_sentences(viewer, now=now, most=MOST_COUNTED):
        yield Item(sentence, "Open the tasks", f"{reverse('interventions:tasks')}?show={share}")


def _nudges(viewer: Staff, now: datetime) -> Iterator[Item]:
    del now
    rows = for_user(Nudge.objects.filter(made_at=None, version__gt=0), viewer)
    for nudge in rows.filter(saved_by=viewer.pk).order_by("-saved_at")[:SHOWN]:
        address = reverse("interventions:nudge", args=(nudge.key,))
        yield Item(f"You have not started “{nudge}” yet.", "Go on with it", address)


def _not_live(viewer: Staff, now: datetime) -> Iterator[Item]:
    later = Q(live_since=None) | Q(live_since__gt=now)
    running = Q(starts_on__lte=now.date(), ends_on__gte=now.date(), clock_stopped_at=None)
    rows = viewable(Course.objects.filter(later, running), viewer)
    for course in rows.order_by("-starts_on", "key")[:SHOWN]:
        sentence = f"{course} has begun and is not live, so its learners get no messages."
        yield Item(sentence, "See what is missing", reverse("course-home", args=(course.pk,)))


TASKS: tuple[Source, ...] = (
    _surges,
    _frozen,
    _paused,
    _endpoints,
    _in_doubt,
    _failed,
    _rejected,
    _instructor_tasks,
    _nudges,
    _not_live,
)


def _results(viewer: Staff, now: datetime) -> Iterator[Item]:
    running = viewable(Experiment.objects.filter(status=ExperimentStatus.RUNNING), viewer)
    shown = running.order_by("-started_at", "id")[:SHOWN]
    for each in beginnings(shown, viewer=viewer):
        address = reverse("experiments:report", args=(each.experiment.key,))
        yield Item(result_sentence(each, now=now), "Read the report", address)


def _courses(viewer: Staff, now: datetime) -> Iterator[Item]:
    # A simulated course is listed at any age, because it shows the state at its stopped clock.
    listed = Q(ends_on__gte=(now - RECENTLY).date()) | Q(clock_stopped_at__isnull=False)
    recent = viewable(Course.objects.filter(listed), viewer)
    for course in recent.order_by("-starts_on", "key")[:SHOWN]:
        address = reverse("course-home", args=(course.pk,))
        yield Item(f"{course}: {course_state(course, now=now)}", "Open the course", address)
