"""What the page of a nudge posts: it is saved first, then the pressed button is obeyed."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.html import format_html

from activity.access import for_user
from activity.models import Learner
from common.clock import utc_now
from common.stored_text import without_nul
from interventions import operations
from interventions.forms.answers import with_another_message, without_message
from interventions.forms.nudges import typed_answers
from interventions.models import Nudge
from interventions.trials import TrialError, is_kept_here, send_trials
from interventions.views.nudge_answers import forms_of, go_to, page_answer, page_of, parts_answer

ANOTHER_TAB = (
    "This nudge was changed in another window meanwhile. What you typed here is kept as a nudge of "
    "its own, which you see now. Both are listed under “Not started yet”."
)
MADE = "This nudge has been started. Change its parts on their own pages."
NO_ADDRESS = "Your account has no address. Ask an administrator to enter one."


def save(request: Any, key: UUID) -> HttpResponse:
    typed, do = typed_answers(request.POST.dict()), request.POST.get("do", "")
    saved = _saved(request, key, _changed(typed, do))
    if saved.made_at is not None:
        messages.warning(request, MADE)
        return go_to(request, reverse("interventions:nudge_summary", args=(saved.key,)))
    address = reverse("interventions:nudge", args=(saved.key,))
    if saved.key != key:
        messages.warning(request, ANOTHER_TAB)
        return go_to(request, address)
    if request.htmx:
        return parts_answer(request, saved, address)
    return _do(request, saved, do)


def _changed(typed: Mapping[str, str], do: str) -> dict[str, str]:
    if do == "add":
        return with_another_message(typed)
    name, _, place = do.partition("-")
    if name == "remove" and place.isdecimal() and len(place) < 3:
        return without_message(typed, int(place))
    return dict(typed)


def _saved(request: Any, key: UUID, answers: Mapping[str, str]) -> Nudge:
    forms = forms_of(request, answers)
    version = request.POST.get("version", "")
    seen = for_user(Nudge.objects.select_related("segment"), request.user)
    kept = seen.filter(key=key).first()
    save = operations.NudgeSave(
        key=key,
        tab=without_nul(request.POST.get("tab", ""))[:40],
        # A nudge that the user may not see counts as one of another tab.
        version=int(version) if kept and version.isdecimal() and len(version) < 10 else 0,
        answers=answers,
        name=forms.name,
        # A segment that can no longer be chosen stays, so that the page can name it.
        segment=forms.nudge.chosen or (kept.segment if kept else None),
        is_while_typing=bool(request.htmx),
    )
    return operations.save_nudge(save, by=request.user, now=utc_now())


def _do(request: HttpRequest, saved: Nudge, do: str) -> HttpResponse:
    address = reverse("interventions:nudge", args=(saved.key,))
    if do == "summary":
        return redirect("interventions:nudge_summary", saved.key)
    if do == "test":
        return _test(request, saved)
    if do == "add":
        number = saved.answers["message-TOTAL_FORMS"]
        return redirect(f"{address}#message-{number}")
    return redirect(f"{address}#what")


def _on_its_way(user: User) -> str:
    if not (is_kept_here() and user.has_perm("interventions.view_mailboxmessage")):
        return f"A test mail of each message is on its way to {user.email}."
    return format_html(
        "A test mail of each message to {} is in the <a href='{}'>mailbox</a>.",
        user.email,
        reverse("interventions:mailbox"),
    )


def _test(request: Any, saved: Nudge) -> HttpResponse:
    page = page_of(request, saved, saved.answers)
    trial = page.trial()
    if trial is None or not page.forms.messages.is_valid():
        return page_answer(request, saved.key, saved, saved.answers, is_checked=True)
    user = request.user
    to = Learner(name=user.get_full_name(), email=user.email or None)
    if not user.email:
        messages.error(request, NO_ADDRESS)
        return redirect("interventions:nudge", saved.key)
    try:
        operations.note_test(saved.key, by=user, now=page.now)
        texts = [(form.cleaned_data["subject"], form.html) for form in page.forms.messages]
        send_trials([trial.draft(subject=line, body=body, to=to) for line, body in texts])
        messages.success(request, _on_its_way(user))
    except (TrialError, operations.InterventionError) as error:
        messages.error(request, str(error))
    return redirect(f"{reverse('interventions:nudge', args=(saved.key,))}#what")
