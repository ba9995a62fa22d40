"""The page of a segment's rule: edit it, see whom it matches, activate and archive it."""

import json
from typing import Any

from django.contrib import messages
from django.contrib.admin.views.decorators import staff_member_required
from django.contrib.auth.decorators import permission_required
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from activity.access import for_user
from activity.rights import REFUSAL, may_send
from activity.switch import chosen_course
from common.clock import utc_now
from segmentation import operations
from segmentation.admin.words import user_of
from segmentation.models import Playbook, Segment
from segmentation.views.confirming import Confirmation, confirmation, requested
from segmentation.views.rule_form import RuleForm, names_for, offered_playbooks, read_id
from segmentation.views.rule_page import conflict_with, page_context, right_to_save

ACTIONS = ("save", "activate", "activate_present", "archive", "count")
SAVED = {
    "save": "Saved.",
    "activate": "Saved and activated. Members appear within seconds.",
    "activate_present": "Saved and activated, also for those already in. Members appear within"
    " seconds.",
}


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@staff_member_required
@permission_required("segmentation.add_segment", raise_exception=True)
def new_rule(request: HttpRequest) -> HttpResponse:
    """Show an empty rule, or save it as a new segment of the chosen playbook."""
    chosen = read_id((request.POST or request.GET).get("playbook", ""))
    offered = offered_playbooks(request.user)
    found = offered.filter(pk=chosen or 0).first()
    playbook = found or _usual_playbook(request, offered)
    if playbook is None:
        return render(request, "segmentation/no_playbook.html")
    if request.method == "POST" and found is None:
        messages.error(request, "The playbook is not there any more. Choose another, then save.")
        return _shown(request, Segment(playbook=playbook), RuleForm(request.POST))
    return _page(request, Segment(playbook=playbook))


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@staff_member_required
@permission_required("segmentation.view_segment", raise_exception=True)
def edit_rule(request: HttpRequest, pk: int) -> HttpResponse:
    """Show the rule of a segment, or carry out the action of a button."""
    seen = for_user(Segment.objects.select_related("playbook"), request.user)
    return _page(request, get_object_or_404(seen, pk=pk))


def _usual_playbook(request: HttpRequest, offered: QuerySet[Playbook]) -> Playbook | None:
    """Return a playbook of the course to which the user limits the lists, or else the first."""
    chosen = chosen_course(request)
    kept = offered.filter(courses=chosen.pk).first() if chosen else None
    return kept or offered.first()


def _page(request: HttpRequest, segment: Segment) -> HttpResponse:
    if request.method != "POST":
        return _shown(request, segment, RuleForm(initial=_stored(segment)))
    form = RuleForm(request.POST, known=names_for(segment, request.user))
    action, is_confirmed = requested(request.POST)
    if action == "count" or action not in ACTIONS or not _is_valid(form, action):
        return _shown(request, segment, form)
    _check_rights(request, segment, action)
    asked = None if is_confirmed else confirmation(action, segment, form, viewer=request.user)
    return _shown(request, segment, form, asked) if asked else _done(request, segment, form, action)


def _is_valid(form: RuleForm, action: str) -> bool:
    # What is typed does not matter for a segment that is archived.
    return action == "archive" or form.is_valid()


def _check_rights(request: HttpRequest, segment: Segment, action: str) -> None:
    wanted = {right_to_save(segment)}
    if action.startswith("activate"):
        wanted.add("segmentation.change_segment")
    if not request.user.has_perms(wanted):
        raise PermissionDenied("Your account may view segments and not change them.")
    wants_present = action == "activate_present" or "include_present" in request.POST
    if wants_present and not may_send(request.user):
        raise PermissionDenied(REFUSAL)


def _stored(segment: Segment) -> dict[str, Any]:
    if not segment.pk:
        return {}
    rules = {name: _as_text(getattr(segment, name)) for name in ("rule", "leave_rule")}
    texts = {"name": segment.name, "description": segment.description}
    return rules | texts | {"seen": operations.state_of(segment)}


def _as_text(rule: object) -> str:
    return "" if rule is None else json.dumps(rule, ensure_ascii=False, indent=2)


def _done(request: HttpRequest, segment: Segment, form: RuleForm, action: str) -> HttpResponse:
    if action == "archive":
        operations.archive_segment(segment.pk, now=utc_now())
        messages.success(request, "Archived. The members leave within seconds.")
        return redirect("segmentation:rule", segment.pk)
    try:
        saved = _saved(request, segment, form, action)
    except operations.EditedMeanwhileError:
        segment.refresh_from_db()
        return _shown(request, segment, form, conflict=conflict_with(segment))
    except operations.SegmentationError as error:
        form.add_error("name", f"{error} Choose another name.")
        return _shown(request, segment, form)
    messages.success(request, SAVED[action])
    return redirect("segmentation:rule", saved.pk)


def _saved(request: HttpRequest, segment: Segment, form: RuleForm, action: str) -> Segment:
    present = action == "activate_present" or "include_present" in request.POST
    typed = form.typed(activate=action.startswith("activate"), include_present=present)
    now, by = utc_now(), user_of(request)
    if not segment.pk:
        return operations.save_new(segment.playbook_id, typed, now=now, by=by)
    seen = form.cleaned_data["seen"]
    return operations.save_edit(segment.pk, typed, seen=seen, now=now, by=by)


def _shown(
    request: HttpRequest,
    segment: Segment,
    form: RuleForm,
    asked: Confirmation | None = None,
    conflict: str = "",
) -> HttpResponse:
    context = page_context(request, segment, form) | {"asked": asked, "conflict": conflict}
    return render(request, "segmentation/rule.html", context)
