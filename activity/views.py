"""The pages on which staff find a learner, and import learners from a spreadsheet."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from django.contrib.admin.views.decorators import staff_member_required
from django.contrib.auth.decorators import permission_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe
from django_htmx.http import HTMX_STOP_POLLING
from django_htmx.middleware import HtmxDetails

from activity.forms import BeginningForm, ColumnsForm, SheetForm
from activity.models import Course, Enrollment
from activity.operations.spreadsheet import RowKind, RowResult, import_spreadsheet
from activity.queries import find_learners, running_imports
from activity.spreadsheet import MOST_ROWS, sheet_rows
from activity.switch import chosen_course
from common.admin import list_url
from common.clock import utc_now
from common.stored_text import without_nul

# An import creates and changes both.
_TO_IMPORT = [
    f"activity.{verb}_{model}" for verb in ("add", "change") for model in ("learner", "enrollment")
]
_PAGE = "activity/import_learners.html"
# The rows that the page lists. The others are only counted.
_SHOWN = 200


@never_cache
@require_safe
@staff_member_required
@permission_required("activity.view_learner", raise_exception=True)
def find(request: HttpRequest) -> HttpResponse:
    """List the learners with this name, address or id. Redirect to the page of a single result."""
    text = without_nul(request.GET.get("q", "")).strip()
    found = find_learners(text, viewer=request.user) if text else None
    if found is not None and len(found.learners) == 1:
        return redirect("learner", found.learners[0].pk)
    return render(request, "activity/find.html", {"text": text, "found": found})


@never_cache
@require_http_methods(("GET", "HEAD", "POST"))
@staff_member_required
@permission_required(_TO_IMPORT, raise_exception=True)
def import_learners(request: HttpRequest) -> HttpResponse:
    """Ask for a spreadsheet and the meaning of its columns, show what would happen, and do it.

    The page keeps the text of the file. So nothing about learners is stored before the last step.
    """
    if request.method != "POST":
        limited = chosen_course(request)
        first = request.GET.get("course") or (limited and limited.pk)
        form = SheetForm(viewer=request.user, initial={"course": first})
        running = running_imports(request.user)
        return render(request, _PAGE, {"form": form, "most_rows": MOST_ROWS, "running": running})
    form = SheetForm(request.POST, request.FILES, viewer=request.user)
    if not form.is_valid():
        return render(request, _PAGE, {"form": form, "most_rows": MOST_ROWS})
    step = request.POST.get("step")
    chosen = request.POST if "column_0" in request.POST else None
    columns = ColumnsForm(chosen, sheet=form.sheet)
    course: Course = form.cleaned_data["course"]
    now = utc_now()
    beginning = BeginningForm(chosen, course=course, now=now)
    # Not "text": the search box of every page shows a variable of that name.
    kept = {"course": course, "cells": form.cleaned_data["text"]}
    context: dict[str, Any] = {"form": form, "columns": columns, "beginning": beginning, **kept}
    if step not in ("check", "import") or not columns.is_valid():
        return render(request, _PAGE, context)
    read = sheet_rows(
        form.sheet,
        columns=columns.columns,
        course=course.key,
        time_zone=course.time_zone,
        begins_at=beginning.begins_at,
    )
    rows = list(read)
    results = import_spreadsheet(
        course, rows, viewer=request.user, now=now, dry_run=step != "import"
    )
    names = {row.number: row.learner.get("name", "") for row in rows}
    context |= _results(course, results, names) | {"is_done": step == "import"}
    return render(request, _PAGE, context)


@never_cache
@require_safe
@staff_member_required
@permission_required(_TO_IMPORT, raise_exception=True)
def import_progress(request: HttpRequest) -> HttpResponse:
    """Say how far the user's imports are. A page that waits for its own asks until it is left."""
    if not HtmxDetails(request):
        return redirect("activity:import")
    running = running_imports(request.user)
    is_over = not running and "own" not in request.GET
    context = {"running": running, "is_over": is_over}
    status = HTMX_STOP_POLLING if is_over else 200
    return render(request, "activity/import_progress.html", context, status=status)


def _results(
    course: Course, results: Sequence[RowResult], names: Mapping[int, str]
) -> dict[str, Any]:
    numbers = Counter(result.kind for result in results)
    # Rows to correct come first, and rows that change nothing last.
    order = [RowKind.REFUSED, RowKind.CHANGED, RowKind.ENROLLED, RowKind.NEW, RowKind.SAME]
    listed = sorted(results, key=lambda result: (order.index(result.kind), result.number))
    return {
        "numbers": [(kind.value, numbers[kind]) for kind in RowKind if numbers[kind]],
        "imported": len(results) - numbers[RowKind.REFUSED],
        "results": [(result, names[result.number]) for result in listed[:_SHOWN]],
        "not_listed": max(0, len(results) - _SHOWN),
        "enrollments": list_url(Enrollment, {"course__id__exact": course.pk}),
    }
