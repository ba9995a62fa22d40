"""The page of a course's content mapping: one table of what comes next."""

from typing import Any

from django.contrib import messages
from django.contrib.admin.views.decorators import staff_member_required
from django.contrib.auth.decorators import permission_required
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from activity.access import for_user, viewable
from activity.models import Course
from activity.spreadsheet import SheetError
from interventions.forms.content_mappings import (
    LABELS,
    MOST_ROWS,
    MappingTable,
    Offered,
    check_number,
    offered_for,
    pasted_rows,
    stored_rows,
    typed_rows,
)
from interventions.models import ContentMapping
from interventions.operations import InterventionError
from interventions.operations.content_mappings import save_mappings, state_of_mappings

RIGHTS = [
    "activity.view_course",
    # The table is changed as a whole, so an emptied row is a change of it.
    *(f"interventions.{verb}_contentmapping" for verb in ("view", "add", "change")),
]
EXAMPLE = """Segment;Module or topic;What comes next;Link;Minutes
Video-only;Cells;Cells: quiz;;
Veterans;;Open problems in biology;https://example.org/problems;30"""


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@staff_member_required
@permission_required(RIGHTS, raise_exception=True)
def content_mapping(request: HttpRequest, course_id: int) -> HttpResponse:
    """Show the table. Save it, or put pasted rows into it, which saves nothing yet."""
    course = get_object_or_404(viewable(Course.objects.all(), request.user), pk=course_id)
    offered = offered_for(course, request.user)
    if request.method != "POST":
        return _shown_as_stored(request, offered)
    rows = typed_rows(request.POST)
    if request.POST.get("step") == "save":
        return _save(request, offered, rows)
    pasted, problem = request.POST.get("pasted", ""), ""
    if pasted.strip():
        try:
            rows += pasted_rows(pasted, offered)
            check_number(rows)
        except (SheetError, ValidationError) as error:
            rows, problem = typed_rows(request.POST), _sentence(error)
    table = MappingTable(rows, offered=offered, is_checked=bool(pasted.strip()) and not problem)
    if not problem:
        table.is_valid()
    # What cannot be read stays in its field.
    again = {"problem": problem, "pasted": pasted} if problem else {"is_unsaved": bool(rows)}
    return _shown(request, table, seen=request.POST.get("seen", ""), **again)


def _save(request: HttpRequest, offered: Offered, rows: list[dict[str, str]]) -> HttpResponse:
    table, seen = MappingTable(rows, offered=offered, is_checked=True), request.POST.get("seen", "")
    if not table.is_valid():
        return _shown(request, table, seen=seen, is_unsaved=True)
    try:
        save_mappings(offered.course.pk, table.things(), seen=seen)
    except InterventionError as error:
        return _shown(request, table, seen=seen, conflict=str(error))
    messages.success(request, "The table is saved. The next messages use it.")
    return redirect("interventions:content_mapping", offered.course.pk)


def _shown_as_stored(request: HttpRequest, offered: Offered) -> HttpResponse:
    rows = for_user(ContentMapping.objects.filter(course=offered.course), request.user)
    listed = list(rows.select_related("module", "item").order_by("pk")[:MOST_ROWS])
    table = MappingTable(stored_rows(listed, offered), offered=offered, is_checked=False)
    return _shown(request, table, seen=state_of_mappings(listed))


def _shown(request: HttpRequest, table: MappingTable, *, seen: str, **more: Any) -> HttpResponse:
    context = {
        "course": table.offered.course,
        "table": table,
        "offered": table.offered,
        "labels": LABELS,
        "seen": seen,
        "example": EXAMPLE,
        "most": MOST_ROWS,
        **more,
    }
    return render(request, "interventions/content_mapping.html", context)


def _sentence(error: SheetError | ValidationError) -> str:
    return " ".join(error.messages) if isinstance(error, ValidationError) else str(error)
