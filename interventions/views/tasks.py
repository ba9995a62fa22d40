"""The queue of tasks for instructors."""

from collections.abc import Callable
from typing import Any, cast

from django.contrib import messages
from django.contrib.admin.views.decorators import staff_member_required
from django.contrib.auth.decorators import permission_required
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from activity.access import viewable
from common.clock import utc_now
from common.stored_text import without_nul
from interventions import operations
from interventions.models import InstructorTask
from interventions.operations import InterventionError
from interventions.queries.tasks import Share, TaskPage, task_page, waiting_tasks
from interventions.sentences import name_of
from interventions.views.row_ids import row_id
from interventions.views.task_lines import task_line

MAY_WORK = "interventions.change_instructortask"
SHARES = {
    Share.MINE: "Mine",
    Share.MY_SECTIONS: "Of my sections",
    Share.ALL: "All that I may see",
}


@never_cache
@require_safe
@staff_member_required
@permission_required("interventions.view_instructortask", raise_exception=True)
def tasks(request: HttpRequest) -> HttpResponse:
    """List the waiting tasks of a share, the first due first."""
    return _page(request)


@never_cache
@require_POST
@staff_member_required
@permission_required(MAY_WORK, raise_exception=True)
def task_take(request: HttpRequest, task_id: int) -> HttpResponse:
    """Make the task the user's own."""
    return _do(request, task_id, lambda task, by: operations.take_task(task.pk, by=by), "is yours")


@never_cache
@require_POST
@staff_member_required
@permission_required(MAY_WORK, raise_exception=True)
def task_talk(request: HttpRequest, task_id: int) -> HttpResponse:
    """Note that the user talks with the learner."""

    def talk(task: InstructorTask, by: User) -> object:
        return operations.talk_about(task.pk, by=by, now=utc_now())

    return _do(request, task_id, talk, "is in conversation. No mail goes out to the learner now")


@never_cache
@require_POST
@staff_member_required
@permission_required(MAY_WORK, raise_exception=True)
def task_done(request: HttpRequest, task_id: int) -> HttpResponse:
    """Close the task with a note. Without one, show the page with the sentence at the field."""
    task, note = _task(request, task_id), without_nul(request.POST.get("note", ""))
    try:
        operations.finish_task(task.pk, note=note, by=_user(request), now=utc_now())
    except InterventionError as error:
        if error.field:
            wrong = {"task": task, "note": note, "sentence": str(error)}
            return _page(request, wrong=wrong)
        messages.error(request, str(error))
    else:
        messages.success(request, f"The task about {_about(task)} is done.")
    return _back(request)


def _do(
    request: HttpRequest,
    task_id: int,
    act: Callable[[InstructorTask, User], object],
    done: str,
) -> HttpResponse:
    task = _task(request, task_id)
    try:
        act(task, _user(request))
    except InterventionError as error:
        messages.error(request, str(error))
    else:
        messages.success(request, f"The task about {_about(task)} {done}.")
    return _back(request)


def _page(request: HttpRequest, *, wrong: dict[str, Any] | None = None) -> HttpResponse:
    share, viewer, now = _share(request), _user(request), utc_now()
    behind = _behind(request)
    page = (
        TaskPage([wrong["task"]], None) if wrong else task_page(share, viewer=viewer, behind=behind)
    )
    context = {
        "lines": [task_line(each, viewer=viewer, now=now) for each in page.tasks],
        "last": page.last,
        "shares": SHARES.items(),
        "share": share,
        "share_name": SHARES[share],
        "is_first": behind is None,
        "may_work": viewer.has_perm(MAY_WORK),
        "wrong": wrong,
    }
    return render(request, "interventions/tasks.html", context, status=422 if wrong else 200)


def _share(request: HttpRequest) -> Share:
    given = request.GET.get("show") or request.POST.get("show", "")
    return Share(given) if given in set(Share) else Share.MINE


def _behind(request: HttpRequest) -> InstructorTask | None:
    after = row_id(request.GET.get("after", ""))
    found = None if after is None else waiting_tasks(_user(request)).filter(pk=after)
    return found.first() if found is not None else None


def _task(request: HttpRequest, task_id: int) -> InstructorTask:
    rows = viewable(InstructorTask.objects.all(), _user(request))
    joined = rows.select_related("enrollment__learner", "enrollment__course", "assignee")
    return get_object_or_404(joined.select_related("enrollment__section"), pk=task_id)


def _user(request: HttpRequest) -> User:
    return cast("User", request.user)


def _about(task: InstructorTask) -> str:
    return name_of(task.enrollment.learner)


def _back(request: HttpRequest) -> HttpResponse:
    """Return to the page of the learner or to the share of the queue, as the form says."""
    learner_id = row_id(request.POST.get("learner", ""))
    if learner_id is not None:
        return redirect("learner", learner_id)
    return redirect(f"{reverse('interventions:tasks')}?show={_share(request)}")
