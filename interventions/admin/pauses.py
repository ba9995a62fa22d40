"""The page that holds and resumes all sending, and the form for the reason of a pause."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin import AdminSite
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from unfold.widgets import UnfoldAdminTextInputWidget

from activity.admin import WHOLE_ID, KeptAdmin, ReadOnlyAdmin
from activity.rights import REFUSAL, may_send
from common.clock import utc_now
from interventions import models, operations
from interventions.queries.pauses import latest_pauses, site_is_paused, site_pause
from interventions.queries.waiting import MOST_COUNTED, number_to_hold

PAGE = "admin:interventions_sitepause_changelist"


class WhyForm(forms.Form):
    """The reason for a pause. It is stored with the user's name."""

    reason = forms.CharField(
        label="Reason",
        max_length=300,
        widget=UnfoldAdminTextInputWidget(attrs={"placeholder": "A message has a wrong text"}),
        help_text="All staff can see the reason and your name.",
    )


def ask_why(
    site: AdminSite, request: HttpRequest, form: WhyForm, cadences: QuerySet[models.Cadence]
) -> HttpResponse:
    """Return the page that asks for the reason to pause the chosen cadences."""
    shown = {
        "title": "Pause cadences",
        "form": form,
        "cadences": list(cadences),
        "chosen": request.POST.getlist(ACTION_CHECKBOX_NAME),
        "chosen_name": ACTION_CHECKBOX_NAME,
    }
    context = site.each_context(request) | shown
    return TemplateResponse(request, "interventions/pause_cadences.html", context)


@admin.register(models.SitePause)
class SitePauseAdmin(KeptAdmin):
    """One page with the current pause, the button and the earlier pauses, instead of a list."""

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """Show whether sending is held. On POST, hold or resume it."""
        if not self.has_view_or_change_permission(request):
            raise PermissionDenied
        form = WhyForm(request.POST if "hold" in request.POST else None)
        if request.method == "POST" and _switch(request, form, may_hold=self._may_hold(request)):
            return redirect(PAGE)
        shown = {
            "title": "Hold all messages",
            "form": form,
            "is_paused": site_is_paused(),
            "pause": site_pause(),
            "waiting": _planned(),
            "pauses": latest_pauses(viewer=request.user),
            "may_hold": self._may_hold(request),
            "may_release": may_send(request.user),
            "refusal": REFUSAL,
        }
        context = self.admin_site.each_context(request) | shown
        return TemplateResponse(request, "interventions/pause.html", context)

    def change_view(self, *_: Any, **__: Any) -> HttpResponseRedirect:
        """Redirect to the page."""
        return redirect(PAGE)

    def add_view(self, *_: Any, **__: Any) -> HttpResponseRedirect:
        """Redirect to the page."""
        return redirect(PAGE)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Return False, because the button makes the row."""
        return False

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return whether the user may see it. Users who may send may also see the pauses."""
        return super().has_view_permission(request, obj) or may_send(request.user)

    def _may_hold(self, request: HttpRequest) -> bool:
        return self.has_change_permission(request) or may_send(request.user)


def _planned() -> str:
    """Return in words how many messages a pause holds."""
    number = number_to_hold()
    if number >= MOST_COUNTED:
        return f"{MOST_COUNTED:,} or more messages are"
    return "1 message is" if number == 1 else f"{number:,} messages are"


def _switch(request: HttpRequest, form: WhyForm, *, may_hold: bool) -> bool:
    """Do the action of the pressed button. Return False if the form must be shown again."""
    by = request.user.get_username()
    if "release" in request.POST:
        if not may_send(request.user):
            raise PermissionDenied(REFUSAL)
        operations.pause_site(paused=False, now=utc_now(), note=operations.PauseNote(by))
        messages.success(request, "Sending is resumed. Held messages go out within seconds.")
        return True
    if not may_hold:
        raise PermissionDenied
    if not form.is_valid():
        return False
    note = operations.PauseNote(by, form.cleaned_data["reason"])
    operations.pause_site(paused=True, now=utc_now(), note=note)
    messages.success(
        request,
        "All sending is held, and course sites show no message. A message that is just being sent "
        "may still go out.",
    )
    return True


@admin.register(models.Pause)
class PauseAdmin(ReadOnlyAdmin):
    """All pauses of sending."""

    list_display = ("__str__", "began_at", "ended_at")
    list_select_related = ("cadence",)
    search_fields = ("began_by__exact",)
    search_help_text = "Enter the whole user name of the person who paused"


@admin.register(models.LearnerPause)
class LearnerPauseAdmin(ReadOnlyAdmin):
    """All pauses of the messages to single learners."""

    list_display = ("learner", "began_at", "began_by", "ended_at", "ended_by")
    list_select_related = ("learner",)
    search_fields = ("learner__external_id__exact",)
    search_help_text = WHOLE_ID
