"""What the page of a rule shows."""

from typing import Any

from django.contrib.auth.models import AnonymousUser, User
from django.http import HttpRequest
from django.utils.timezone import get_current_timezone_name

from activity.rights import may_send
from activity.switch import chosen_course
from common.admin import page_url
from common.dates import instant_text
from segmentation.models import Segment
from segmentation.operations import state_of
from segmentation.operations.segments import EVALUATED
from segmentation.queries import segment_size
from segmentation.rules import in_english
from segmentation.views.answers import answer_for
from segmentation.views.bundle import MISSING, builder_data, bundle_address
from segmentation.views.confirming import MOST_MEMBERS
from segmentation.views.rule_form import RuleForm, offered_courses, offered_names, offered_playbooks

# A longer list of choices is no help, and the page of a playbook links to it.
MOST_PLAYBOOKS = 100


def page_context(request: HttpRequest, segment: Segment, form: RuleForm) -> dict[str, Any]:
    """Return the variables of the page for a saved or a new segment."""
    may_change = request.user.has_perm(right_to_save(segment))
    bundle = bundle_address()
    offered = offered_courses(segment, request.user)
    chosen = chosen_course(request)
    is_counted = request.method == "POST" and request.POST.get("action") == "count"
    return {
        "segment": segment,
        "form": form,
        "seen": state_of(segment) if segment.pk else "",
        "title": segment.name if segment.pk else "New segment",
        "playbooks": [] if segment.pk else offered_playbooks(request.user)[:MOST_PLAYBOOKS],
        "courses": offered.courses,
        "course": request.POST.get("course", str(chosen.pk) if chosen else ""),
        "kept_for": offered.kept_for,
        "names": list(offered_names(offered.courses, viewer=request.user).items()),
        "may_change": may_change,
        "may_send": may_send(request.user),
        "sentences": _sentences(segment),
        "is_evaluated": segment.status in EVALUATED,
        "state": _state(segment, request.user),
        "answer": answer_for(request.POST, segment, request.user) if is_counted else None,
        "bundle": bundle,
        "missing": "" if bundle else MISSING,
        "builder": builder_data(is_read_only=not may_change),
        "admin_url": page_url(segment) if segment.pk else "",
    }


def conflict_with(segment: Segment) -> str:
    """Return what was saved since the page was opened."""
    last = segment.versions.select_related("created_by").first()
    at = instant_text(last.created_at, zone=get_current_timezone_name()) if last else ""
    by = f" by {last.created_by}" if last and last.created_by else ""
    leave = f" Members leave when: {in_english(segment.leave_rule)}." if segment.leave_rule else ""
    return (
        f"Somebody changed “{segment.name}” after you opened this page. Its status now is"
        f" {segment.get_status_display()}. Version {segment.version} was saved{by} on {at}."
        f" Its rule is: {in_english(segment.rule)}.{leave}"
    )


def _sentences(segment: Segment) -> dict[str, str]:
    """Return the stored rules in English."""
    rules = {"rule": segment.rule, "leave_rule": segment.leave_rule} if segment.pk else {}
    return {name: in_english(rule) for name, rule in rules.items() if rule is not None}


def right_to_save(segment: Segment) -> str:
    """Return the permission to save the segment, which may be new."""
    return "segmentation.change_segment" if segment.pk else "segmentation.add_segment"


def _state(segment: Segment, viewer: User | AnonymousUser) -> str:
    """Return in a sentence where the segment stands."""
    if not segment.pk:
        return "Not saved yet."
    words = segment.get_status_display()
    if segment.status not in EVALUATED:
        return f"{words[:1].upper()}{words[1:]}. Version {segment.version}."
    size = segment_size(segment.pk, up_to=MOST_MEMBERS, viewer=viewer)
    members = f"{size:,}" if size <= MOST_MEMBERS else f"more than {MOST_MEMBERS:,}"
    noun = "member" if size == 1 else "members"
    return f"{words[:1].upper()}{words[1:]}, {members} {noun}. Version {segment.version}."
