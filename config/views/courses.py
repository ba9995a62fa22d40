"""The list of courses, and the switch that limits all lists to one of them."""

from typing import Any

from django.contrib.admin.views.decorators import staff_member_required
from django.contrib.auth.decorators import permission_required
from django.db import DataError
from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from activity.access import viewable
from activity.models import Course
from activity.switch import choose_course
from common.clock import utc_now
from common.stored_text import without_nul
from config.views.results import course_state

SHOWN = 50


@never_cache
@require_safe
@staff_member_required
@permission_required("activity.view_course", raise_exception=True)
def courses(request: HttpRequest) -> HttpResponse:
    """List the courses whose title or key holds the text, the latest first."""
    text = without_nul(request.GET.get("course", "")).strip()
    found, now = list(_courses(request, text)[: SHOWN + 1]), utc_now()
    shown: dict[str, Any] = {
        "text": text,
        "courses": [(course, course_state(course, now=now)) for course in found[:SHOWN]],
        "has_more": len(found) > SHOWN,
    }
    return render(request, "config/courses.html", shown)


def _courses(request: HttpRequest, text: str) -> QuerySet[Course]:
    seen = viewable(Course.objects.order_by("-starts_on", "key"), request.user)
    return seen.filter(Q(title__icontains=text) | Q(key__icontains=text)) if text else seen


@never_cache
@require_POST
@staff_member_required
@permission_required("activity.view_course", raise_exception=True)
def switch_course(request: HttpRequest) -> HttpResponse:
    """Limit all lists of this session to the posted course. An empty value shows all courses."""
    text = request.POST.get("course", "")
    choose_course(request.session, _course(request, text) if text else None)
    return redirect(_next(request))


def _course(request: HttpRequest, text: str) -> Course:
    try:
        return get_object_or_404(viewable(Course.objects.all(), request.user), pk=text)
    except (ValueError, DataError, OverflowError):
        raise Http404 from None


def _next(request: HttpRequest) -> str:
    address = request.POST.get("next", "")
    # Another site could have written the form.
    own = url_has_allowed_host_and_scheme(
        address, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    )
    return address if own else reverse("home")
