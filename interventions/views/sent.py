"""The page of a message as it was sent."""

from csp.constants import UNSAFE_INLINE
from csp.decorators import csp_update
from django.contrib.admin.views.decorators import staff_member_required
from django.contrib.auth.decorators import permission_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from interventions.queries.sent import sent_message as find_sent_message
from interventions.sentences import ended_sentence
from interventions.views.shown_mail import shown_mail


@never_cache
@require_safe
# The frame of a message inherits the policy of its page, and mails have inline styles.
@csp_update({"style-src": [UNSAFE_INLINE]})  # type: ignore[arg-type]
@staff_member_required
@permission_required("interventions.view_delivery", raise_exception=True)
def sent_message(request: HttpRequest, delivery_id: int) -> HttpResponse:
    """Show a message word for word as the learner was sent it, and what became of it."""
    sent = find_sent_message(delivery_id, viewer=request.user)
    if sent is None:
        return render(request, "interventions/sent_message.html", {}, status=404)
    delivery = sent.delivery
    zone = delivery.enrollment.course.time_zone
    context = {
        "sent": sent,
        "delivery": delivery,
        "what_became": "" if delivery.state == "planned" else ended_sentence(delivery, zone=zone),
        "mail": shown_mail(request, html=sent.html, text=sent.text),
    }
    return render(request, "interventions/sent_message.html", context)
