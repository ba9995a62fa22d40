"""The page on which staff decide about those who entered a segment by time alone, too many."""

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
    "{waiting:,} of the {of:,} learners who could be in it in {course} entered because time passed,"
    " on {day:%-d %b %Y}: more than a quarter at once. They are members; no message has started"
    " and nobody was drawn."
)


def surges_url(segment_id: int) -> str:
    """Return the address of the page on which the segment's surges are decided."""
    return reverse("admin:segmentation_segment_surges", args=(segment_id,))


def surge_words(surge: queries.HeldSurge) -> str:
    """Return in a sentence who waits and why."""
    return SENTENCE.format(waiting=surge.waiting, of=surge.of, course=surge.course, day=surge.day)


def _learners(number: int) -> str:
    return "1 learner" if number == 1 else f"{number:,} learners"


def shown_waiting(segment: models.Segment) -> str:
    """Return who waits for staff, which leads to where that is decided."""
    held = queries.held_surges(segment.pk, viewer=viewer_of(segment))
    if not held:
        return NOBODY
    total = sum(surge.waiting for surge in held)
    return format_html(
        '{} <a class="underline" href="{}">Let them in or leave it at that: {} waiting</a>',
        surge_words(held[0]),
        surges_url(segment.pk),
        f"{total:,}",
    )


def surges_page(
    request: HttpRequest, segment: models.Segment, context: dict[str, Any]
) -> HttpResponse:
    """Show what waits; on POST carry out what was decided and show what is left."""
    if request.method == "POST":
        _decide(request, segment)
        return redirect(surges_url(segment.pk))
    shown = {
        "title": f"Who waits to start in {segment}",
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
        _do(request, segment, operations.let_in_surge, "let_in", "They start within seconds.")
    elif "discard" in request.POST:
        done = "They stay members; nothing starts for them."
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
    """How many entered by time alone, a day and segment; decided on the segment's page."""

    list_display = ("segment", "course", "day", "entered", "of", "state", "decided_by")
    list_select_related = ("segment__playbook", "course", "decided_by")
    list_filter = ("state", ("segment", RelatedFilter))


@admin.register(models.WaitingEntry)
class WaitingEntryAdmin(ReadOnlyAdmin):
    """Who entered by time alone and has not started anything."""

    list_display = ("enrollment", "segment", "day", "entered_at", "is_counted")
    list_select_related = ("enrollment__learner", "enrollment__course", "segment__playbook")
    list_filter = (("segment", RelatedFilter),)
