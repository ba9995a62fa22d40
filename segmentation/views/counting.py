"""The live count of the rules on the screen. A user has one count at a time."""

from django.contrib.admin.views.decorators import staff_member_required
from django.contrib.auth.decorators import permission_required
from django.db import transaction
from django.http import Http404, HttpRequest, JsonResponse, QueryDict
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST

from activity.access import for_user
from segmentation.admin.words import user_of
from segmentation.models import Playbook, Segment
from segmentation.queries import take_turn
from segmentation.views.answers import Staff, answer_for
from segmentation.views.rule_form import read_id


@never_cache
@require_POST
@staff_member_required
@permission_required("segmentation.view_segment", raise_exception=True)
def count(request: HttpRequest) -> JsonResponse:
    """Count the rules of the form. Never count two requests of one user at once."""
    segment = _segment(request.POST, request.user)
    with transaction.atomic():
        if not take_turn(user_of(request).pk):
            return JsonResponse({"busy": True})
        answer = answer_for(request.POST, segment, request.user)
    return JsonResponse(answer.as_json())


def _segment(typed: QueryDict, viewer: Staff) -> Segment:
    """Return the segment of the page, or an unsaved one of the chosen playbook.

    A rule of a cadence is counted in the courses of the segment `beside` it.
    """
    if beside := read_id(typed.get("beside", "")):
        seen = for_user(Segment.objects.select_related("playbook"), viewer)
        neighbor = seen.filter(pk=beside).first()
        return Segment(playbook=neighbor.playbook if neighbor else Playbook())
    if pk := read_id(typed.get("segment", "")):
        seen = for_user(Segment.objects.select_related("playbook"), viewer)
        found = seen.filter(pk=pk).first()
    else:
        playbook = for_user(Playbook.objects.all(), viewer).filter(
            pk=read_id(typed.get("playbook", "")) or 0
        )
        found = Segment(playbook=playbook.first() or Playbook())
    if found is None:
        raise Http404
    return found
