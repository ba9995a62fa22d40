"""Admin pages of cadences, their runs, and the start of experiments."""

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from unfold.decorators import display

from activity.admin import (
    WHOLE_ID,
    Button,
    ButtonsAdmin,
    KeptAdmin,
    ReadOnlyAdmin,
    RelatedFilter,
    SendingAdmin,
    TableInline,
)
from activity.rights import may_send
from activity.texts import a_few
from common.admin import ListLink
from common.clock import utc_now
from common.dates import instant_text
from experiments.admin import ExperimentAdmin
from experiments.reporting.reasons import reason_text
from experiments.views.check import CheckPage
from interventions import models, operations
from interventions.admin.buttons import cadence_buttons
from interventions.admin.caps_of_arms import caps_that_hold
from interventions.admin.pauses import WhyForm, ask_why
from interventions.admin.way import way_through
from interventions.forms import CadenceForm, StepForm, StepFormSet
from interventions.policy.durations import duration_in_words
from interventions.queries.arm_messages import messages_of_arms
from interventions.queries.pauses import cadence_pause
from segmentation.admin.segments import SegmentAdmin, by_segment
from segmentation.views.bundle import builder_data, bundle_address

_WAY = "The way through the steps"


class StepInline(TableInline):
    """The steps of a cadence, in the order of the rows. Rows can be dragged."""

    model = models.Step
    form = StepForm
    formset = StepFormSet
    # The handle for dragging is in the first cell, so the first field must be visible.
    fields = ("delay", "template", "condition", "otherwise", "then", "order")
    template_before = "admin/steps_help.html"
    ordering_field = "order"
    hide_ordering_field = True
    extra = 0
    autocomplete_fields = ("template",)


@admin.register(models.Cadence)
class CadenceAdmin(ButtonsAdmin, SendingAdmin, KeptAdmin):
    """Cadences: sequences of messages after a trigger."""

    form = CadenceForm
    list_display = (
        "name", "shown_course", "shown_status", "shown_trigger", "shown_for", "category",
        "priority",
    )  # fmt: skip
    list_select_related = ("segment__playbook", "arm", "ghost_for", "category")
    list_filter = ("status", "paused", ("segment", RelatedFilter))
    search_fields = ("key", "name")
    autocomplete_fields = ("segment", "arm", "ghost_for", "category")
    inlines = (StepInline,)
    # Only the actions pause and resume change it. A field in the form would not release held
    # messages.
    exclude = ("paused",)
    readonly_fields = ("shown_pause", "shown_way")
    actions = ("activate", "pause", "resume", "archive")
    # The steps follow the first fields. The others have usual values and are folded.
    fieldsets = (
        (None, {"fields": ("name", "segment", "trigger", "category")}),
        (_WAY, {"fields": ("shown_way",)}),
        (
            "What the messages say of themselves, and when they may go out",
            {
                "classes": ("collapse",),
                "fields": (
                    "why_now",
                    ("window_from", "window_until"),
                    "weekdays",
                    "max_age",
                    "priority",
                ),
            },
        ),
        (
            "May a learner get it again?",
            {"classes": ("collapse",), "fields": ("reentry", "cooldown")},
        ),
        (
            "When it stops for a learner",
            {"classes": ("collapse",), "fields": ("exit_on_leave", "goal_rule")},
        ),
        # One below the other: side by side, two boxes with long names are wider than the page.
        ("Part of an experiment", {"classes": ("collapse",), "fields": ("arm", "ghost_for")}),
        ("Key and status", {"classes": ("collapse",), "fields": ("key", "status", "shown_pause")}),
    )

    @display(description="Course")
    def shown_course(self, cadence: models.Cadence) -> str:
        """Return the courses whose learners get it, since cadences may have the same name."""
        segment = cadence.segment
        titles = [str(course) for course in segment.playbook.courses.all()] if segment else []
        return a_few(titles) or "no course"

    @display(description="Status", label={"active": "success", "paused": "warning"})
    def shown_status(self, cadence: models.Cadence) -> tuple[str, str]:
        """Return the status in words, or "paused" if its messages are held."""
        if cadence.paused:
            return "paused", "paused: its messages are held"
        return cadence.status, cadence.get_status_display()

    @display(description="Paused")
    def shown_pause(self, cadence: models.Cadence) -> str:
        """Return since when, by whom and why the messages are held."""
        held = cadence_pause(cadence.pk)
        return f"its messages are held {held.circumstances}" if held else "no"

    def get_fieldsets(self, request: HttpRequest, obj: models.Cadence | None = None) -> Any:
        """Return the fieldsets. A new cadence has no way through its steps yet."""
        found = super().get_fieldsets(request, obj)
        return [each for each in found if obj is not None or each[0] != _WAY]

    @display(description="As saved")
    def shown_way(self, cadence: models.Cadence) -> str:
        """Return the saved steps in words, with their branches."""
        steps = list(cadence.steps.select_related("template").order_by("position"))
        way = {"way": way_through(steps)}
        return render_to_string("admin/interventions/cadence/way.html", way)

    @display(description="Starts on")
    def shown_trigger(self, cadence: models.Cadence) -> str:
        """Return the trigger in words."""
        if cadence.segment is None:
            return "started manually"
        verb = "entering" if cadence.trigger == models.Trigger.ENTER else "leaving"
        return f"{verb} {cadence.segment}"

    @display(description="For")
    def shown_for(self, cadence: models.Cadence) -> str:
        """Return the learners it is for: every learner, or an arm with its ghosts."""
        if cadence.arm is None:
            return "every learner"
        ghost = f", ghosted for {cadence.ghost_for.own_name}" if cadence.ghost_for else ""
        return f"arm {cadence.arm.own_name}{ghost}"

    def buttons(self, request: HttpRequest, row: models.Cadence) -> list[Button]:
        """Return what the user may do with the cadence now."""
        return cadence_buttons(
            row,
            may_change=self.has_change_permission(request),
            may_let_out=self.has_send_permission(request),
        )

    @admin.action(description="Activate: start it from now on", permissions=["send"])
    def activate(self, request: HttpRequest, queryset: QuerySet[models.Cadence]) -> None:
        """Activate the chosen cadences, or say why one cannot be."""
        self._set_status(request, queryset, models.CadenceStatus.ACTIVE, "is active")

    @admin.action(description="Archive: end it", permissions=["change"])
    def archive(self, request: HttpRequest, queryset: QuerySet[models.Cadence]) -> None:
        """Archive the chosen cadences."""
        self._set_status(request, queryset, models.CadenceStatus.ARCHIVED, "is archived")

    def _set_status(
        self,
        request: HttpRequest,
        queryset: QuerySet[models.Cadence],
        status: models.CadenceStatus,
        done: str,
    ) -> None:
        for cadence in queryset:
            try:
                operations.set_cadence_status(cadence.pk, status)
            except operations.InterventionError as error:
                messages.error(request, str(error))
                continue
            self.log_change(request, cadence, f"It {done}.")
            messages.success(request, f"“{cadence}” {done}.")

    @admin.action(description="Pause: hold its messages", permissions=["change"])
    def pause(
        self, request: HttpRequest, queryset: QuerySet[models.Cadence]
    ) -> HttpResponse | None:
        """Ask why, then pause the chosen cadences."""
        form = WhyForm(request.POST if "reason" in request.POST else None)
        if not form.is_valid():
            return ask_why(self.admin_site, request, form, queryset)
        note = operations.PauseNote(request.user.get_username(), form.cleaned_data["reason"])
        for cadence in queryset:
            operations.pause_cadence(cadence.pk, paused=True, now=utc_now(), note=note)
        messages.success(
            request,
            "The cadences are paused. Their planned messages are held, and course sites show none.",
        )
        return None

    @admin.action(description="Resume: let its messages go out", permissions=["send"])
    def resume(self, request: HttpRequest, queryset: QuerySet[models.Cadence]) -> None:
        """Resume the chosen cadences."""
        note = operations.PauseNote(request.user.get_username())
        for cadence in queryset:
            operations.pause_cadence(cadence.pk, paused=False, now=utc_now(), note=note)
        messages.success(request, "The cadences are resumed. Held messages go out within seconds.")

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        """Add what the script needs that shows rules as conditions."""
        context |= {"builder": builder_data(), "bundle": bundle_address("rule_field")}
        return super().render_change_form(request, context, *args, **kwargs)

    def get_form(self, *args: Any, **kwargs: Any) -> Any:
        """Return a form that knows whether the user may let messages out."""
        request, form = args[0], super().get_form(*args, **kwargs)
        return type(form.__name__, (form,), {"may_send": may_send(request.user)})


@admin.register(models.Step)
class StepAdmin(ReadOnlyAdmin):
    """Steps of all cadences, read-only. Steps are edited on the page of their cadence."""

    list_display = ("cadence", "position", "shown_delay", "channel", "template")
    # The filter of the ledger searches by them.
    search_fields = ("cadence__name", "cadence__key")
    list_select_related = ("cadence", "template")
    list_filter = ("channel", ("cadence", RelatedFilter))
    exclude = ("delay",)
    readonly_fields = ("shown_delay",)

    @display(description="Delay", ordering="delay")
    def shown_delay(self, step: models.Step) -> str:
        """Return the delay in words, as it is entered."""
        return duration_in_words(step.delay)


@admin.register(models.Run)
class RunAdmin(ReadOnlyAdmin):
    """Each learner's way through a cadence."""

    list_display = ("enrollment", "cadence", "shown_state", "ghost", "started_at", "next_at")
    list_select_related = ("enrollment__learner", "enrollment__course", "cadence")
    list_filter = ("status", "ghost", ("cadence", RelatedFilter))
    search_fields = ("enrollment__learner__external_id__exact",)
    search_help_text = WHOLE_ID

    @display(description="State")
    def shown_state(self, run: models.Run) -> str:
        """Return the status with the reason of an exit or the last error."""
        if run.error:
            return f"failing: {run.error}"
        if run.waits_until and run.status == models.RunStatus.ACTIVE:
            until = instant_text(run.waits_until, zone=run.enrollment.course.time_zone)
            return f"waits for the end of the pause, {until}"
        if run.exit_reason:
            return f"exited, because {reason_text(run.exit_reason)}"
        return run.get_status_display()


# The start action and the check page are in the app experiments, which cannot check what the arms
# would receive.
ExperimentAdmin.starter = staticmethod(operations.start_experiment)
ExperimentAdmin.caps_that_hold = staticmethod(caps_that_hold)
CheckPage.messages_of = staticmethod(messages_of_arms)
CheckPage.problems_of = staticmethod(operations.start_problems)
SegmentAdmin.add_links(ListLink("Cadences", models.Cadence, by_segment))
