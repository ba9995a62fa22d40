"""The page of a course's modules and quizzes: the list of them, and a table that adds to it."""

from collections.abc import Iterable
from dataclasses import dataclass

from django.contrib import messages
from django.contrib.admin.views.decorators import staff_member_required
from django.contrib.auth.decorators import permission_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from activity.access import for_user, viewable
from activity.forms import OutlineForm
from activity.models import Course, Item
from activity.operations import save_outline
from activity.operations.outline import Outcome, OutlineResult
from activity.outline import MOST_ITEMS
from common.clock import utc_now

RIGHTS = ["activity.view_course", "activity.add_item", "activity.change_item"]
_PAGE = "config/items.html"
# Messages are kept in a cookie, which holds a few sentences.
MOST_SAID = 5
EXAMPLE = """Kind;Title;Module;From;Due
module;Cells;;9 November 2026;22 November 2026
video;What a cell is;Cells;;
quiz;Cells: quiz;Cells;;22 November 2026"""


@dataclass(frozen=True)
class Part:
    """A module with its items. The items without a module stand together."""

    module: Item | None
    items: list[Item]


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@staff_member_required
@permission_required(RIGHTS, raise_exception=True)
def items(request: HttpRequest, course_id: int) -> HttpResponse:
    """Show the modules and quizzes. Add those of a table, after showing what would happen.

    The page keeps the text of the table, so nothing is stored before the last step.
    """
    course = get_object_or_404(viewable(Course.objects.all(), request.user), pk=course_id)
    shown = {"course": course, "example": EXAMPLE, "most": MOST_ITEMS}
    if request.method != "POST":
        listed = for_user(Item.objects.filter(course=course), request.user)
        parts = parts_of(listed.order_by("position", "id")[:MOST_ITEMS])
        return render(request, _PAGE, shown | {"form": OutlineForm(course=course), "parts": parts})
    form = OutlineForm(request.POST, request.FILES, course=course)
    if not form.is_valid():
        return render(request, _PAGE, shown | {"form": form})
    is_save = request.POST.get("step") == "save"
    results = save_outline(course, form.rows, now=utc_now(), dry_run=not is_save)
    if is_save:
        _say(request, results)
        return redirect("course-items", course.pk)
    cells = form.cleaned_data["text"]
    again = OutlineForm(initial={"text": cells}, course=course)
    kept = {"results": results, "good": _good(results), "cells": cells, "form": again}
    return render(request, _PAGE, shown | kept)


def parts_of(items: Iterable[Item]) -> list[Part]:
    """Return the modules in their order, each with its items."""
    listed = list(items)
    by_parent: dict[int | None, list[Item]] = {}
    for item in listed:
        if item.kind != "module":
            by_parent.setdefault(item.parent_id, []).append(item)
    parts = [Part(item, by_parent.pop(item.pk, [])) for item in listed if item.kind == "module"]
    rest = [item for items in by_parent.values() for item in items]
    return parts + ([Part(None, rest)] if rest else [])


def _good(results: list[OutlineResult]) -> int:
    return sum(result.outcome is not Outcome.REFUSED for result in results)


def _say(request: HttpRequest, results: list[OutlineResult]) -> None:
    good = _good(results)
    messages.success(request, f"{good} of {len(results)} rows are saved. Nobody is messaged.")
    faulty = [result for result in results if result.fault]
    for result in faulty[:MOST_SAID]:
        messages.warning(request, f"Line {result.number}: {result.fault}")
    if len(faulty) > MOST_SAID:
        messages.warning(request, f"{len(faulty) - MOST_SAID} more lines are not saved.")
