"""The page of one learner: segments and why, messages and why not, and what happened."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from django import forms
from django.contrib.admin.views.decorators import staff_member_required
from django.contrib.auth.decorators import permission_required
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from django_htmx.middleware import HtmxDetails

from activity.access import for_user, viewable
from activity.models import Enrollment, Learner
from activity.queries import feed_health
from activity.queries.acts import last_act
from activity.rights import may_send
from common.clock import read_day, utc_now
from common.dates import day_text, instant_text
from config.views.learner.answer import Situation, answer
from config.views.learner.segments import (
    SegmentLine,
    outlook,
    segment_lines,
    silence_sentence,
)
from config.views.learner.timeline import Staff, Timeline, timeline
from experiments.queries import assignments_of
from interventions.models import LearnerPause, Run, Trigger
from interventions.queries.expected_messages import waiting_messages
from interventions.queries.learner_messages import (
    MOST_COUNTED,
    active_runs,
    last_ended_message,
    number_waiting,
)
from interventions.queries.pauses import learner_pause
from interventions.queries.tasks import tasks_of_learner
from interventions.sentences import name_of, next_step_sentence, trace_lines, waiting_sentences
from interventions.views.task_lines import TaskLine, task_line
from interventions.views.tasks import MAY_WORK
from segmentation.queries.history import last_entry

# A learner in more courses has the other enrollments as links.
MOST_SECTIONS = 3
MOST_COURSES = 40


class HtmxRequest(HttpRequest):
    """A request after the middleware of htmx."""

    htmx: HtmxDetails


@dataclass(frozen=True)
class MessageLine:
    """A waiting message in sentences, with the decisions on it."""

    sentences: list[str]
    trace: list[str]


@dataclass(frozen=True)
class Planned:
    """The next step of a run in a sentence, and the run if staff can stop it."""

    sentence: str
    run: Run | None


@dataclass(frozen=True)
class Section:
    """One enrollment of the learner."""

    enrollment: Enrollment
    state: str
    arms: list[str]
    as_of: str
    segments: list[SegmentLine]
    answer: list[str]
    # The decisions on the message in the answer, and the other messages that wait.
    trace: list[str]
    others: list[MessageLine]
    planned: list[Planned]
    timeline: Timeline


@never_cache
@require_safe
@staff_member_required
@permission_required("activity.view_learner", raise_exception=True)
def learner(request: HttpRequest, learner_id: int) -> HttpResponse:
    """Show the learner with a section for each enrollment that the user may see."""
    return learner_page(request, learner_of(request, learner_id))


def learner_page(
    request: HttpRequest, found: Learner, *, form: forms.Form | None = None
) -> HttpResponse:
    """Return the page of the learner, with the form of a hold that could not be read."""
    enrollments = list(enrollments_of(request, found)[:MOST_COURSES])
    chosen = [one for one in enrollments if str(one.pk) == request.GET.get("enrollment")]
    shown = chosen or enrollments[:MOST_SECTIONS]
    now = utc_now()
    context = {
        "learner": found,
        "name": name_of(found),
        "sections": [section_of(each, viewer=request.user, now=now) for each in shown],
        "others": [each for each in enrollments if each not in shown],
        "tasks": tasks_about(found, viewer=request.user, now=now),
        "may_work": request.user.has_perm(MAY_WORK),
        "pause": pause_words(learner_pause(found.pk), shown),
        "waiting": number_waiting(found.pk),
        "most_waiting": MOST_COUNTED,
        "may_hold": may_hold(request.user),
        "may_send": may_send(request.user),
        "form": form,
    }
    return render(request, "config/learner.html", context, status=422 if form else 200)


@never_cache
@require_safe
@staff_member_required
@permission_required("activity.view_learner", raise_exception=True)
def learner_older(request: HtmxRequest, enrollment_id: int) -> HttpResponse:
    """Show older days of the timeline: alone for htmx, else as a page."""
    enrollment = enrollment_of(request, enrollment_id)
    before = _day(request.GET.get("before", ""))
    now = clock_of(enrollment, utc_now())
    found = timeline(enrollment, viewer=request.user, now=now, before=before)
    context = {"timeline": found, "enrollment": enrollment, "name": name_of(enrollment.learner)}
    template = "learner_days.html" if request.htmx else "learner_older.html"
    return render(request, f"config/{template}", context)


@never_cache
@require_safe
@staff_member_required
@permission_required(
    ("activity.view_learner", "segmentation.view_membership"), raise_exception=True
)
def learner_next(request: HtmxRequest, enrollment_id: int) -> HttpResponse:
    """Show what the learner will enter and leave by passing time alone."""
    enrollment = enrollment_of(request, enrollment_id)
    as_of = clock_of(enrollment, utc_now())
    context = {
        "outlook": outlook(enrollment, as_of=as_of, viewer=request.user),
        "silence": silence_sentence(feed_health(enrollment.course, now=as_of), enrollment.course),
        "enrollment": enrollment,
        "name": name_of(enrollment.learner),
    }
    template = "learner_forecast.html" if request.htmx else "learner_next.html"
    return render(request, f"config/{template}", context)


def learner_of(request: HttpRequest, learner_id: int) -> Learner:
    """Return the learner, if the user may see it. Raise Http404 otherwise."""
    return get_object_or_404(for_user(Learner.objects.all(), request.user), pk=learner_id)


def enrollment_of(request: HttpRequest, enrollment_id: int) -> Enrollment:
    """Return the enrollment with learner and course, if the user may see it."""
    rows = viewable(Enrollment.objects.select_related("learner", "course"), request.user)
    return get_object_or_404(rows, pk=enrollment_id)


def enrollments_of(request: HttpRequest, found: Learner) -> QuerySet[Enrollment]:
    """Return the learner's enrollments that the user may see, the last course first."""
    rows = viewable(Enrollment.objects.filter(learner=found), request.user)
    return rows.select_related("learner", "course").order_by("-course__starts_on", "pk")


def clock_of(enrollment: Enrollment, now: datetime) -> datetime:
    """Return now, or the end of a simulated course."""
    return enrollment.course.clock_stopped_at or now


def may_hold(user: Staff) -> bool:
    """Return whether the user may hold a learner's messages. To hold is safe, to resume is not."""
    return may_send(user) or user.has_perm("interventions.change_sitepause")


def pause_words(pause: LearnerPause | None, shown: list[Enrollment]) -> str:
    """Return since when, by whom and why the learner's messages are held; empty if they are not."""
    if pause is None:
        return ""
    zone = shown[0].course.time_zone if shown else "UTC"
    by = f" by {pause.began_by}" if pause.began_by else ""
    why = f": {pause.reason.rstrip('.')}" if pause.reason else ""
    return f"since {instant_text(pause.began_at, zone=zone)}{by}{why}."


def tasks_about(found: Learner, *, viewer: Staff, now: datetime) -> list[TaskLine]:
    """Return the tasks for instructors about the learner, those that wait first."""
    lines = [
        task_line(task, viewer=viewer, now=clock_of(task.enrollment, now))
        for task in tasks_of_learner(found, viewer=viewer)
    ]
    return sorted(lines, key=lambda line: not line.is_waiting)


def section_of(enrollment: Enrollment, *, viewer: Staff, now: datetime) -> Section:
    """Return all that the page says about one enrollment."""
    now = clock_of(enrollment, now)
    zone, name = enrollment.course.time_zone, name_of(enrollment.learner)
    sees_segments = viewer.has_perm("segmentation.view_membership")
    sees_messages = viewer.has_perm("interventions.view_delivery")
    situation = _situation(enrollment, name, viewer, now) if sees_messages else None
    waiting = situation.waiting if situation else []
    runs = situation.runs if situation else []
    said = answer(situation) if situation else []
    return Section(
        enrollment=enrollment,
        state=_state(enrollment, now),
        arms=list(_arms(enrollment, viewer)),
        as_of=instant_text(now, zone=zone),
        segments=segment_lines(enrollment, as_of=now, viewer=viewer) if sees_segments else [],
        answer=said,
        trace=trace_lines(waiting[0].delivery, zone=zone) if waiting else [],
        others=[
            MessageLine(
                list(waiting_sentences(each, name=name, zone=zone, now=now)),
                trace_lines(each.delivery, zone=zone),
            )
            for each in waiting[1:]
        ],
        planned=[each for run in runs if (each := _planned(run, name, zone, said))],
        timeline=timeline(enrollment, viewer=viewer, now=now),
    )


def _situation(enrollment: Enrollment, name: str, viewer: Staff, now: datetime) -> Situation:
    waiting = waiting_messages(enrollment.learner, now=now, viewer=viewer)
    here = [each for each in waiting if each.delivery.enrollment_id == enrollment.pk]
    return Situation(
        enrollment=enrollment,
        name=name,
        now=now,
        viewer=viewer,
        # What a learner really gets answers first.
        waiting=sorted(here, key=lambda each: each.delivery.ghost),
        last=last_ended_message(enrollment.pk),
        runs=active_runs(enrollment.pk),
        entry=last_entry(enrollment.pk),
    )


def _planned(run: Run, name: str, zone: str, said: Sequence[str]) -> Planned | None:
    """Return the next step, unless the answer has said it and nobody can stop the run."""
    is_manual = run.cadence.trigger == Trigger.MANUAL
    sentence = next_step_sentence(run, name=name, zone=zone)
    if (not sentence or sentence in said) and not is_manual:
        return None
    sentence = sentence or f"All messages of “{run.cadence.name}” are planned."
    return Planned(sentence, run if is_manual else None)


def _arms(enrollment: Enrollment, viewer: Staff) -> Iterator[str]:
    if viewer.has_perm("experiments.view_assignment"):
        for drawn in assignments_of([enrollment.pk]):
            arm = drawn.arm.own_name
            yield f"Put by chance into “{arm}” of the experiment “{drawn.experiment}”."


def _state(enrollment: Enrollment, now: datetime) -> str:
    zone = enrollment.course.time_zone
    if enrollment.withdrew_at and enrollment.withdrew_at <= now:
        return f"Left the course on {instant_text(enrollment.withdrew_at, zone=zone)}."
    if enrollment.completed_at and enrollment.completed_at <= now:
        return f"Completed the course on {instant_text(enrollment.completed_at, zone=zone)}."
    since, last = day_text(enrollment.enrolled_at, zone=zone), last_act(enrollment.pk)
    if last is None:
        return f"Enrolled since {since}. Has done nothing in the course yet."
    return f"Enrolled since {since}. Was last active on {instant_text(last, zone=zone)}."


def _day(text: str) -> date | None:
    try:
        return read_day(text)
    except ValueError:
        return None
