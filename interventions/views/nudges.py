"""The pages of a nudge: whom, what, when and prove it on one page, then its summary."""

from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec
from uuid import UUID, uuid4

from csp.constants import NONE, SELF, UNSAFE_INLINE
from csp.decorators import csp_replace, csp_update
from django.contrib import messages
from django.contrib.admin.views.decorators import staff_member_required
from django.contrib.auth.decorators import permission_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.html import format_html
from django.views.decorators.cache import never_cache
from django.views.decorators.clickjacking import xframe_options_sameorigin
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from activity.rights import REFUSAL, may_send
from common.clock import utc_now
from interventions import operations
from interventions.forms.answers import first_answers
from interventions.models import Nudge
from interventions.queries.trials import Trial
from interventions.render.liquid import TemplateError
from interventions.render.mail import Rendered
from interventions.views.nudge_answers import MAY_EXPERIMENT, kept_nudge, page_answer, page_of
from interventions.views.nudge_page import NudgePage
from interventions.views.nudge_saving import save
from interventions.views.nudge_summary import summary_of

P = ParamSpec("P")
View = Callable[Concatenate[HttpRequest, P], HttpResponse]

MAY_WRITE = "interventions.add_cadence"
# In the address of the page: say what is wrong.
CHECK = "check"
NO_NEXT = (
    "{} has no open module now, so nobody can say what comes next. The mail has other words there."
)
GONE = "The nudge was deleted meanwhile, so nothing was started."
NOTE_LINE = '<p class="mail"><em>{}</em></p><hr>'
SUBJECT_LINE = '<p class="mail"><strong>Subject: {}</strong></p><hr>'
OWN_FRAMES: dict[str, Any] = {"frame-src": [SELF]}
PREVIEW_POLICY: dict[str, Any] = {
    "frame-ancestors": [SELF],
    "style-src": [UNSAFE_INLINE],
    "script-src": [NONE],
}


def nudge_page(view: View[P]) -> View[P]:
    """Allow only staff who may add cadences. Others must log in or are refused."""
    allowed = permission_required(MAY_WRITE, raise_exception=True)(view)
    return staff_member_required(allowed)


@never_cache
@require_safe
@csp_update(OWN_FRAMES)
@nudge_page
def new_nudge(request: HttpRequest) -> HttpResponse:
    """Show an empty nudge. Nothing is stored before something is typed."""
    chosen = request.GET.get("segment", "")
    answers = first_answers(**{"segment": chosen} if chosen.isdecimal() else {})
    return page_answer(request, uuid4(), None, answers)


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@csp_update(OWN_FRAMES)  # type: ignore[arg-type]
@nudge_page
def nudge(request: HttpRequest, key: UUID) -> HttpResponse:
    """Show the nudge as it was left. On POST save what is typed, then do what the button says."""
    if request.method == "POST":
        return save(request, key)
    kept = kept_nudge(request, key)
    if kept.made_at is not None:
        return redirect("interventions:nudge_summary", key)
    return page_answer(request, key, kept, kept.answers, is_checked=CHECK in request.GET)


@never_cache
@require_safe
@nudge_page
def nudge_summary(request: HttpRequest, key: UUID) -> HttpResponse:
    """Show what would be started, or what was."""
    kept = kept_nudge(request, key)
    page = page_of(request, kept, kept.answers)
    if kept.made_at is not None:
        made = {"nudge": kept, "zone": page.zone}
        return render(request, "interventions/nudges/made.html", made)
    if not page.forms.are_valid():
        return _checked(key)
    context = {"nudge": kept, "summary": summary_of(page), "missing_rights": _lacks(request, page)}
    context |= {"too_early": page.too_early, "not_live": page.not_live}
    return render(request, "interventions/nudges/summary.html", context)


@never_cache
@require_POST
@nudge_page
def start_nudge(request: HttpRequest, key: UUID) -> HttpResponse:
    """Make everything and start it, once."""
    try:
        kept = kept_nudge(request, key)
        page = page_of(request, kept, kept.answers)
        if kept.made_at is None:
            if not page.forms.are_valid():
                return _checked(key)
            _create(request, kept, page)
    except (Http404, Nudge.DoesNotExist):
        # Somebody may delete it at the very moment.
        messages.error(request, GONE)
        return redirect("interventions:new_nudge")
    return redirect("interventions:nudge_summary", key)


@never_cache
@require_POST
@nudge_page
def delete_nudge(request: HttpRequest, key: UUID) -> HttpResponse:
    """Delete a nudge that was not started."""
    if not operations.delete_nudge(kept_nudge(request, key).key):
        messages.error(request, "The nudge has been started meanwhile, so it is not deleted.")
        return redirect("interventions:nudge_summary", key)
    messages.success(request, "The nudge is deleted.")
    return redirect("interventions:new_nudge")


@never_cache
@require_safe
@xframe_options_sameorigin
# The frame of the page shows it. A mail has styles of its own, and loads nothing.
@csp_replace(PREVIEW_POLICY)  # type: ignore[arg-type]
@nudge_page
def nudge_preview(request: HttpRequest, key: UUID, number: int) -> HttpResponse:
    """Show one message as the chosen member would see it."""
    kept = kept_nudge(request, key)
    page = page_of(request, kept, kept.answers)
    context: dict[str, Any] = {"problem": "Choose a segment and write a text to see it here."}
    page.forms.messages.is_valid()
    written = page.forms.messages.forms[number : number + 1]
    trial = page.trial()
    if trial is not None and written and not written[0].errors:
        try:
            subject = written[0].cleaned_data["subject"]
            shown = trial.rendered(subject=subject, body=written[0].html)
            return HttpResponse(_with_heading(shown, _about_next(trial, subject, written[0].html)))
        except TemplateError as error:
            context["problem"] = str(error)
    return render(request, "interventions/nudges/no_preview.html", context)


@never_cache
@require_safe
@nudge_page
def trial_link(request: HttpRequest) -> HttpResponse:
    """Say where a link of a test mail leads in a real message."""
    return render(request, "interventions/nudges/trial_link.html", {})


def _about_next(trial: Trial, *texts: str) -> str:
    """Return why the mail does not name the next item, although its text asks for it."""
    if trial.member is None or not trial.lacks_next_item:
        return ""
    return (
        NO_NEXT.format(trial.member.learner) if any("next_item" in each for each in texts) else ""
    )


def _with_heading(shown: Rendered, note: str) -> str:
    """Return the mail with its subject above it, as a mail program shows it, and the note."""
    heading = format_html(SUBJECT_LINE, shown.subject) + (note and format_html(NOTE_LINE, note))
    begin = shown.html.index(">", shown.html.index("<body")) + 1
    return f"{shown.html[:begin]}{heading}{shown.html[begin:]}"


def _checked(key: UUID) -> HttpResponse:
    """Go to the page with a sentence at each field that is wrong."""
    return redirect(f"{reverse('interventions:nudge', args=(key,))}?{CHECK}=1")


def _create(request: HttpRequest, kept: Nudge, page: NudgePage) -> None:
    lacks = [*_lacks(request, page), *filter(None, [page.too_early])]
    if lacks:
        messages.error(request, " ".join(lacks))
        return
    version = request.POST.get("version", "")
    number = int(version) if version.isdecimal() and len(version) < 10 else -1
    try:
        operations.create_nudge(
            kept.key,
            version=number,
            fields=page.forms.fields(),
            viewer=request.user,
            now=utc_now(),
        )
        messages.success(request, "It is started.")
    except operations.InterventionError as error:
        messages.error(request, str(error))


def _lacks(request: HttpRequest, page: NudgePage) -> list[str]:
    """Return a sentence for each right that the user lacks to start the nudge."""
    lacks = [] if may_send(request.user) else [f"{REFUSAL} The nudge stays as it is until then."]
    holds_back = page.forms.nudge.cleaned_data.get("hold_back")
    if holds_back and not request.user.has_perm(MAY_EXPERIMENT):
        lacks.append("Your account may not create experiments, so it cannot hold back half.")
    if not request.user.has_perm("interventions.add_messagetemplate"):
        lacks.append("Your account may not create templates.")
    return lacks
