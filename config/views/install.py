"""The page that installs a shipped playbook for a course."""

from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.contrib.admin.views.decorators import staff_member_required
from django.contrib.auth.decorators import permission_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import slugify
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from activity.access import viewable
from activity.models import Course
from common.clock import utc_now
from config.views.today import Staff
from interventions.models import Cadence, CadenceStatus
from interventions.operations import Installed, install_guarded, shipped_actions
from segmentation.models import Playbook
from segmentation.operations import read_shipped, shipped_playbooks
from segmentation.queries import courses_of_playbook
from segmentation.rules import in_english

# The key of a playbook has at most 100 characters, with the name before it and the number after it.
MOST_OF_KEY = 50
# A playbook has few cadences, and the page names them.
MOST_CADENCES = 20
RIGHTS = [
    f"segmentation.{verb}_{model}"
    for verb in ("add", "change")
    for model in ("playbook", "segment")
]


@dataclass(frozen=True)
class Present:
    """The playbook that was installed before, the courses it is kept for, and its messages."""

    playbook: Playbook
    is_here: bool
    courses: list[Course]
    cadences: list[Cadence]


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@staff_member_required
@permission_required(RIGHTS, raise_exception=True)
def install(request: HttpRequest, course_id: int, name: str) -> HttpResponse:
    """Say what an installation would make. With a button, make it. Nobody is messaged."""
    course = get_object_or_404(viewable(Course.objects.all(), request.user), pk=course_id)
    if name not in shipped_playbooks():
        raise Http404
    if request.method == "POST":
        _install(request, course, name)
        return redirect("course-home", course.pk)
    return render(request, "config/install.html", _context(course, name, request.user))


def _install(request: HttpRequest, course: Course, name: str) -> None:
    key = name if "shared" in request.POST else own_key(course, name)
    now = utc_now()
    made = install_guarded(name, now=now, course_keys=[course.key], key=key)
    messages.success(
        request,
        f"“{made.playbook.name}” is installed. Its segments fill within seconds. Nobody is "
        "messaged.",
    )
    for guard in made.guards:
        messages.info(request, f"Created {guard}, because there was none.")
    if made.drafts:
        messages.info(request, _drafts_sentence(made, request.user))


def _drafts_sentence(made: Installed, viewer: Staff) -> SafeString:
    """Return how many drafts of messages were made, with a link for those who may read them."""
    number = len(made.drafts)
    if not viewer.has_perm("interventions.view_cadence"):
        return format_html("Created {} cadences as drafts.", number)
    return format_html(
        'Created {} cadences as drafts. <a href="{}?status__exact=draft">Read them, and activate '
        "those that you want</a>.",
        number,
        reverse("admin:interventions_cadence_changelist"),
    )


def own_key(course: Course, name: str) -> str:
    """Return the key of the playbook of this course alone."""
    # The key of a course may hold other letters than those of a playbook.
    own = slugify(course.key)[:MOST_OF_KEY] or "course"
    return f"{name}-{own}-{course.pk}"


def _context(course: Course, name: str, viewer: Staff) -> dict[str, Any]:
    shape = read_shipped(name)
    others = [other for other in shipped_playbooks() if other != name]
    return {
        "course": course,
        "name": shape["name"],
        "is_exclusive": shape["mode"] == "exclusive",
        "segments": [
            (each, in_english(each["rule"]), _messages_of(each["key"]))
            for each in shape["segments"]
        ],
        "others": [(other, read_shipped(other)["name"]) for other in others],
        "present": _present(course, name, viewer),
        "is_installed": _is_kept(course, own_key(course, name), viewer),
    }


def _messages_of(segment_key: str) -> list[str]:
    return [each["name"] for each in shipped_actions() if each["segment"] == segment_key]


def _present(course: Course, name: str, viewer: Staff) -> Present | None:
    playbook = viewable(Playbook.objects.filter(key=name), viewer).first()
    if playbook is None:
        return None
    courses = list(courses_of_playbook(playbook.pk, viewer=viewer)[: MOST_CADENCES + 1])
    seen = viewable(Cadence.objects.filter(segment__playbook=playbook), viewer)
    active = seen.filter(status=CadenceStatus.ACTIVE).order_by("name")
    is_here = _is_kept(course, name, viewer)
    return Present(playbook, is_here, courses, list(active[:MOST_CADENCES]))


def _is_kept(course: Course, key: str, viewer: Staff) -> bool:
    return viewable(Playbook.objects.filter(key=key, courses=course), viewer).exists()
