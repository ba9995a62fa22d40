"""The page on which staff decide about surges: too many entries caused only by passing time."""

from collections.abc import Callable
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.html import format_html

from activity.access import for_user
from activity.admin import ReadOnlyAdmin, RelatedFilter, viewer_of
from activity.rights import REFUSAL, may_send
from common.clock import utc_now
from segmentation import models, operations, queries
from segmentation.admin.words import user_of

NOBODY = "nobody"
SENTENCE = (
    "On {day:%-d %b %Y}, {waiting:,} of the {of:,} learners in scope in {course} entered because"
    " time passed. That is more than a quarter on one day. They are members, but no message has"
    " started and nobody was drawn."
)


def surges_url(segment_id: int) -> str:
    """Return the URL of the page on which staff decide about the segment's surges."""
    return reverse("admin:segmentation_segment_surges", args=(segment_id,))


def surge_words(surge: queries.HeldSurge) -> str:
    """Return in a sentence how many learners wait and why."""
    return SENTENCE.format(waiting=surge.waiting, of=surge.of, course=surge.course, day=surge.day)


def _learners(number: int) -> str:
    return "1 learner" if number == 1 else f"{number:,} learners"


def shown_waiting(segment: models.Segment) -> str:
    """Return how many learners wait for staff, as a link to the page of the decision."""
    held = queries.held_surges(segment.pk, viewer=viewer_of(segment))
    if not held:
        return NOBODY
    total = sum(surge.waiting for surge in held)
    return format_html(
        '{} <a class="underline" href="{}">Decide: {} waiting</a>',
        surge_words(held[0]),
        surges_url(segment.pk),
        f"{total:,}",
    )


def surges_page(
    request: HttpRequest, segment: models.Segment, context: dict[str, Any]
) -> HttpResponse:
    """Show the surges that wait. On POST, carry out the decision and show the rest."""
    if request.method == "POST":
        _decide(request, segment)
        return redirect(surges_url(segment.pk))
    shown = {
        "title": f"Waiting entries of {segment}",
        "segment": segment,
        "segment_url": reverse("admin:segmentation_segment_change", args=(segment.pk,)),
        "surges": [
            (one, surge_words(one), _learners(one.waiting))
            for one in queries.held_surges(segment.pk, viewer=request.user)
        ],
        "may_send": may_send(request.user),
        "refusal": REFUSAL,
    }
    return TemplateResponse(request, "segmentation/surges.html", context | shown)


def _decide(request: HttpRequest, segment: models.Segment) -> None:
    if "let_in" in request.POST:
        if not may_send(request.user):
            raise PermissionDenied(REFUSAL)
        done = "Messages and draws start for them within seconds."
        _do(request, segment, operations.let_in_surge, "let_in", done)
    elif "discard" in request.POST:
        done = "They stay members. No message starts for them."
        _do(request, segment, operations.discard_surge, "discard", done)


def _do(
    request: HttpRequest,
    segment: models.Segment,
    act: Callable[..., None],
    name: str,
    done: str,
) -> None:
    chosen = request.POST[name]
    surges = for_user(models.Surge.objects.filter(segment=segment), request.user)
    surge = get_object_or_404(surges, pk=int(chosen) if chosen.isdecimal() else 0)
    try:
        act(surge.pk, now=utc_now(), by=user_of(request))
    except operations.SegmentationError as error:
        messages.error(request, str(error))
        return
    messages.success(request, done)


@admin.register(models.Surge)
class SurgeAdmin(ReadOnlyAdmin):
    """Counts of entries caused only by time, per segment, course and day.

    Staff decide about them on the segment's page.
    """

    list_display = ("segment", "course", "day", "entered", "of", "state", "decided_by")
    list_select_related = ("segment__playbook", "course", "decided_by")
    list_filter = ("state", ("segment", RelatedFilter))


@admin.register(models.WaitingEntry)
class WaitingEntryAdmin(ReadOnlyAdmin):
    """Entries caused only by time that may not start anything yet."""

    list_display = ("enrollment", "segment", "day", "entered_at", "is_counted")
    list_select_related = ("enrollment__learner", "enrollment__course", "segment__playbook")
    list_filter = (("segment", RelatedFilter),)
