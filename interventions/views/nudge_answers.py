"""The answers to requests for a nudge: the page, or the parts of it that change."""

from collections.abc import Mapping
from secrets import token_hex
from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render

from activity.access import for_user
from activity.switch import chosen_course
from common.clock import utc_now
from interventions.forms.nudges import NudgeForms, offered_in, offered_to
from interventions.models import Nudge
from interventions.queries.nudges import drafts
from interventions.views.nudge_page import NudgePage

MAY_EXPERIMENT = "experiments.add_experiment"


def kept_nudge(request: HttpRequest, key: UUID) -> Nudge:
    seen = for_user(Nudge.objects.select_related("segment", "cadence", "experiment"), request.user)
    return get_object_or_404(seen, key=key)


def forms_of(request: Any, answers: Mapping[str, str]) -> NudgeForms:
    """Return the forms with the segments of the course to which the user limits the lists."""
    offered, course = offered_to(request.user), chosen_course(request)
    if course is not None:
        offered = offered_in(offered, course.pk, answers=answers)
    return NudgeForms(answers, offered=offered)


def page_of(
    request: Any, kept: Nudge | None, answers: Mapping[str, str], *, is_checked: bool = False
) -> NudgePage:
    forms = forms_of(request, answers)
    return NudgePage(forms, kept, request.user, utc_now(), is_checked)


def page_answer(
    request: Any,
    key: UUID,
    kept: Nudge | None,
    answers: Mapping[str, str],
    *,
    is_checked: bool = False,
) -> HttpResponse:
    page, user = page_of(request, kept, answers, is_checked=is_checked), request.user
    context = {
        "page": page,
        "shown": page.shown,
        "nudge": kept,
        "key": key,
        "tab": token_hex(8),
        "version": kept.version if kept else 0,
        "drafts": [] if kept else drafts(user),
        "is_checked": is_checked,
        "may_experiment": user.has_perm(MAY_EXPERIMENT),
    }
    return render(request, "interventions/nudges/nudge.html", context)


def parts_answer(request: HttpRequest, saved: Nudge, address: str) -> HttpResponse:
    page = page_of(request, saved, saved.answers)
    context = {
        "page": page,
        "nudge": saved,
        "key": saved.key,
        "version": saved.version,
        "is_swap": True,
    }
    response = render(request, "interventions/nudges/parts.html", context)
    response["HX-Replace-Url"] = address
    return response


def go_to(request: Any, address: str) -> HttpResponse:
    if request.htmx:
        response = HttpResponse()
        response["HX-Redirect"] = address
        return response
    return redirect(address)
