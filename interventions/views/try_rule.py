"""The button that tries an unsaved rule of a segment on the last 30 days."""

from time import monotonic, sleep
from typing import Any

from django import forms
from django.contrib.admin.views.decorators import staff_member_required
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST

from activity.access import for_user
from common.clock import utc_now
from common.database import in_time
from interventions.queries.what_if_rule import RuleWhatIf, what_if_rule
from interventions.views.row_ids import row_id
from segmentation.admin.words import user_of
from segmentation.models import Playbook, Segment
from segmentation.queries import TypedRules, take_turn
from segmentation.rules import parse
from segmentation.views.rule_form import RuleText
from segmentation.views.rule_page import right_to_save

# Fewer days are read when these seconds are over. One reading that takes longer is cut off.
SECONDS, LONGEST_SECONDS = 4, 12
# The live count of the same page takes the user's turn for a moment.
TURN_SECONDS, PAUSE_SECONDS = 5, 0.2
BUSY = "Something else is being counted for you. Press the button again in a moment."


class TypedForm(forms.Form):
    """The two rules on the screen."""

    rule = RuleText(label="The rule")
    leave_rule = RuleText(label="The rule by which members leave", required=False)


@never_cache
@require_POST
@staff_member_required
def try_rule(request: HttpRequest) -> HttpResponse:
    """Show what the typed rule would have done in the last 30 days. Save nothing."""
    segment = _segment(request)
    if not request.user.has_perm(right_to_save(segment)):
        raise PermissionDenied("Your account may view segments and not change them.")
    form = TypedForm(request.POST)
    shown: dict[str, Any] = {"form": form, "segment": segment}
    if form.is_valid():
        rules = [rule and parse(rule) for rule in form.cleaned_data.values()]
        found = _tried(TypedRules(segment, *rules), request)
        shown |= {"fault": found} if isinstance(found, str) else {"found": found}
    name = "what_if_rule" if "HX-Request" in request.headers else "what_if_rule_page"
    return render(request, f"interventions/{name}.html", shown)


def _segment(request: HttpRequest) -> Segment:
    """Return the segment of the page, or an unsaved one of the chosen playbook."""
    if text := request.POST.get("segment", ""):
        seen = for_user(Segment.objects.select_related("playbook"), request.user)
        return get_object_or_404(seen, pk=row_id(text) or 0)
    playbooks = for_user(Playbook.objects.all(), request.user)
    found = playbooks.filter(pk=row_id(request.POST.get("playbook", "")) or 0).first()
    if found is None:
        raise Http404
    # At its usual priority, after the present segments of the same.
    return Segment(playbook=found)


def _tried(tried: TypedRules, request: HttpRequest) -> RuleWhatIf | str:
    """Return the effects, or a sentence on why not."""
    until = monotonic() + TURN_SECONDS
    while (found := _in_turn(tried, request)) is None:
        if monotonic() > until:
            return BUSY
        sleep(PAUSE_SECONDS)
    return found


def _in_turn(tried: TypedRules, request: HttpRequest) -> RuleWhatIf | str | None:
    with transaction.atomic():
        if not take_turn(user_of(request).pk):
            return None
        return in_time(
            lambda: what_if_rule(
                tried, viewer=request.user, now=utc_now(), clock=monotonic, seconds=SECONDS
            ),
            seconds=LONGEST_SECONDS,
        )
