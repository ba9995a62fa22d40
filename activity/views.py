"""The page on which staff find a learner."""

from django.contrib.admin.views.decorators import staff_member_required
from django.contrib.auth.decorators import permission_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from activity.queries import find_learners
from common.stored_text import without_nul


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
