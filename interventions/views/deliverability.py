"""What became of the mails of the last days, for staff."""

from django.conf import settings
from django.contrib.admin.views.decorators import staff_member_required
from django.contrib.auth.decorators import permission_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from common.clock import utc_now
from interventions.queries.deliverability import DAYS, deliverability


@never_cache
@require_safe
@staff_member_required
@permission_required("interventions.view_delivery", raise_exception=True)
def deliverability_page(request: HttpRequest) -> HttpResponse:
    """Show how many mails arrived, bounced and were complained about, by provider and domain."""
    context = {
        "days": DAYS,
        "found": deliverability(viewer=request.user, now=utc_now()),
        "reporting": sorted(settings.EMAIL_WEBHOOKS),
        "tracks_clicks": settings.TRACK_CLICKS,
    }
    return render(request, "interventions/deliverability.html", context)
