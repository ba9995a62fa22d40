"""What staff do for one learner: hold messages, change segments by hand, start a cadence."""

from dataclasses import dataclass
from typing import cast

from django import forms
from django.contrib import messages
from django.contrib.admin.views.decorators import staff_member_required
from django.contrib.auth.decorators import permission_required
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from activity.access import viewable
from activity.models import Enrollment
from activity.rights import SEND_MESSAGES
from common.clock import utc_now
from config.views.learner.page import (
    clock_of,
    enrollment_of,
    learner_of,
    learner_page,
    may_hold,
)
from config.views.learner.timeline import Staff
from interventions import operations
from interventions.models import Cadence, Run, Trigger
from interventions.operations import InterventionError, PauseNote
from interventions.queries.expected_messages import first_messages
from interventions.queries.learner_messages import manual_cadences
from interventions.sentences import name_of, waiting_sentences
from segmentation.models import Segment
from segmentation.operations import SegmentationError, add_member, clear_override, remove_member


class HoldForm(forms.Form):
    """The reason why a learner's messages are held. All staff can see it."""

    reason = forms.CharField(
        label="Reason",
        max_length=300,
        error_messages={"required": "Write why, so that your colleagues know."},
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )


@never_cache
@require_POST
@staff_member_required
@permission_required("activity.view_learner", raise_exception=True)
def learner_hold(request: HttpRequest, learner_id: int) -> HttpResponse:
    """Hold all messages to the learner. Without a reason, show the page with the form again."""
    found = learner_of(request, learner_id)
    if not may_hold(request.user):
        raise PermissionDenied
    form = HoldForm(request.POST)
    if not form.is_valid():
        return learner_page(request, found, form=form)
    note = PauseNote(request.user.get_username(), form.cleaned_data["reason"])
    operations.pause_learner(found.pk, paused=True, now=utc_now(), note=note)
    messages.success(
        request,
        f"All messages to {name_of(found)} are held. One that is just being sent may still go out.",
    )
    return redirect("learner", found.pk)


@never_cache
@require_POST
@staff_member_required
@permission_required(("activity.view_learner", SEND_MESSAGES), raise_exception=True)
def learner_resume(request: HttpRequest, learner_id: int) -> HttpResponse:
    """Let the messages to the learner go out again."""
    found = learner_of(request, learner_id)
    note = PauseNote(request.user.get_username())
    operations.pause_learner(found.pk, paused=False, now=utc_now(), note=note)
    messages.success(request, f"Messages to {name_of(found)} go out again, within seconds.")
    return redirect("learner", found.pk)


@never_cache
@require_POST
@staff_member_required
@permission_required("activity.view_learner", raise_exception=True)
def learner_segment(
    request: HttpRequest, enrollment_id: int, segment_id: int, change: str
) -> HttpResponse:
    """Add the learner to a segment or remove the learner by hand, or take that back."""
    enrollment = enrollment_of(request, enrollment_id)
    segment = get_object_or_404(viewable(Segment.objects.all(), request.user), pk=segment_id)
    if change not in _CHANGES:
        raise Http404
    right, said = _CHANGES[change]
    if not request.user.has_perm(right):
        raise PermissionDenied
    try:
        _change(change, segment, enrollment, cast("User", request.user))
    except SegmentationError as error:
        messages.error(request, str(error))
    else:
        sentence = said.format(name=name_of(enrollment.learner), segment=segment.name)
        messages.success(request, f"{sentence} The next evaluation applies it, within seconds.")
    return _back(enrollment)


# The right, and what the page says afterwards.
_CHANGES = {
    "add": ("segmentation.add_override", "{name} is added to {segment} by hand."),
    "remove": ("segmentation.add_override", "{name} is removed from {segment} by hand."),
    "clear": (
        "segmentation.delete_override",
        "The rule decides again whether {name} is in {segment}.",
    ),
}


def _change(change: str, segment: Segment, enrollment: Enrollment, by: User) -> None:
    if change == "clear":
        clear_override(segment.pk, enrollment.pk, now=utc_now())
        return
    act = add_member if change == "add" else remove_member
    act(segment.pk, enrollment.pk, now=utc_now(), by=by)


@dataclass(frozen=True)
class Offer:
    """A cadence that can be started, the number of its messages, and what would happen."""

    cadence: Cadence
    steps: int
    sentences: list[str]
    can_start: bool


@never_cache
@require_safe
@staff_member_required
@permission_required(
    ("activity.view_learner", "interventions.view_cadence", SEND_MESSAGES), raise_exception=True
)
def learner_send(request: HttpRequest, enrollment_id: int) -> HttpResponse:
    """List the cadences that can be started for the learner, and when the messages would go out."""
    enrollment = enrollment_of(request, enrollment_id)
    context = {
        "enrollment": enrollment,
        "name": name_of(enrollment.learner),
        "offers": _offers(enrollment, request.user),
    }
    return render(request, "config/learner_send.html", context)


def _offers(enrollment: Enrollment, viewer: Staff) -> list[Offer]:
    """Return the cadences, those that can be started first."""
    now = clock_of(enrollment, utc_now())
    cadences = manual_cadences(enrollment.course_id, viewer=viewer)
    found = operations.manual_runs(cadences, enrollment, now=now)
    is_stopped = enrollment.course.clock_stopped_at is not None
    runs = [run for run in found.values() if run is not None and not is_stopped]
    messages_of = first_messages(runs, enrollment, now=now, viewer=viewer)
    zone, name = enrollment.course.time_zone, name_of(enrollment.learner)
    sentences = {
        run.cadence_id: list(waiting_sentences(first, name=name, zone=zone, now=now))
        for run, first in zip(runs, messages_of, strict=True)
    }
    been = f"{name} is in it now, or has been through it."
    refusal = [operations.CLOCK_STOPPED if is_stopped else been]
    offers = [
        Offer(each, len(each.steps.all()), sentences.get(each.pk, refusal), each.pk in sentences)
        for each in cadences
    ]
    return sorted(offers, key=lambda offer: not offer.can_start)


@never_cache
@require_POST
@staff_member_required
@permission_required(
    ("activity.view_learner", "interventions.view_cadence", SEND_MESSAGES), raise_exception=True
)
def learner_start(request: HttpRequest, enrollment_id: int, cadence_id: int) -> HttpResponse:
    """Start a cadence for the learner. Consent, caps and quiet hours apply as always."""
    enrollment = enrollment_of(request, enrollment_id)
    offered = manual_cadences(enrollment.course_id, viewer=request.user)
    cadence = next((each for each in offered if each.pk == cadence_id), None)
    if cadence is None:
        raise Http404
    name = name_of(enrollment.learner)
    try:
        run = operations.start_manually(cadence.pk, enrollment.pk, now=utc_now())
    except InterventionError as error:
        messages.error(request, str(error))
        return _back(enrollment)
    if run is None:
        messages.error(request, f"{name} is in “{cadence}” now, or has been through it.")
    else:
        messages.success(request, f"“{cadence}” is started for {name}. You can stop it below.")
    return _back(enrollment)


@never_cache
@require_http_methods(["POST"])
@staff_member_required
@permission_required("activity.view_learner", raise_exception=True)
def learner_stop(request: HttpRequest, run_id: int) -> HttpResponse:
    """Stop a cadence that somebody started for the learner."""
    if not may_hold(request.user):
        raise PermissionDenied
    rows = viewable(Run.objects.filter(cadence__trigger=Trigger.MANUAL), request.user)
    run = get_object_or_404(rows.select_related("cadence", "enrollment"), pk=run_id)
    if operations.stop_run(run.pk, now=utc_now()):
        messages.success(request, f"“{run.cadence}” is stopped. What was sent stays sent.")
    else:
        messages.error(request, f"“{run.cadence}” had ended before.")
    return _back(run.enrollment)


def _back(enrollment: Enrollment) -> HttpResponseRedirect:
    page = reverse("learner", args=(enrollment.learner_id,))
    return HttpResponseRedirect(f"{page}?enrollment={enrollment.pk}")
