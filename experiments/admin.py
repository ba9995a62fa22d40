"""Admin pages of experiments, arms, assignments and delivery outcomes."""

from collections.abc import Callable
from datetime import datetime
from operator import itemgetter
from typing import Any, ClassVar, Protocol

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import DropdownFilter
from unfold.decorators import display

from activity.access import Viewer
from activity.admin import (
    WHOLE_ID,
    Button,
    ButtonsAdmin,
    EnrollmentAdmin,
    KeptAdmin,
    LearnerAdmin,
    ReadOnlyAdmin,
    RelatedFilter,
    SendingAdmin,
    TableInline,
    by_enrollment,
    by_learner,
)
from common.admin import ListLink
from common.clock import utc_now
from experiments import models
from experiments.forms import ArmForm, ArmFormSet, ExperimentForm
from experiments.operations import stop_experiment
from experiments.protocol import ProtocolError
from experiments.queries import courses_of, draft_problems
from experiments.reporting.reasons import REASONS, reason_text
from experiments.reporting.text import hindrances

STATUS_COLORS = {"draft": "info", "running": "success", "stopped": "warning"}
LOCKED = ("key", "segment", "playbook", "unit", "method", "seed", "differs_outside")


START = Button(
    "start",
    "Start, with present members",
    "Learners who are in the segment now are drawn at once, and those who enter later as they "
    "enter. Then its arms are fixed.",
)
START_NEW = Button(
    "start_without_present",
    "Start, without present members",
    "Only learners who enter the segment from now on are drawn. Then its arms are fixed.",
)
STOP = Button(
    "stop",
    "Stop",
    "No more learners are drawn. The report still counts those who were. It cannot start again.",
)


def is_draft(experiment: models.Experiment | None) -> bool:
    """Return whether the experiment has not started, so that nobody can have been drawn."""
    return experiment is None or experiment.status == models.ExperimentStatus.DRAFT


class ArmInline(TableInline):
    """The arms. They are fixed once the experiment has started."""

    model = models.Arm
    form = ArmForm
    formset = ArmFormSet
    extra = 0
    fields = ("position", "key", "name", "weight", "is_control")

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return whether arms may still be added."""
        return is_draft(obj) and super().has_add_permission(request, obj)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return whether arms may still be changed."""
        return is_draft(obj) and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return whether arms may still be removed."""
        return is_draft(obj) and super().has_delete_permission(request, obj)


class Starter(Protocol):
    """Start an experiment. Raise ProtocolError with the reasons why it cannot start."""

    def __call__(
        self, experiment_id: int, *, now: datetime, draw_present: bool, viewer: Viewer
    ) -> object: ...


@admin.register(models.Experiment)
class ExperimentAdmin(ButtonsAdmin, SendingAdmin, KeptAdmin):
    """Experiments, with the actions that start and stop one."""

    # Set by the app interventions, which checks what the arms would receive.
    starter: ClassVar[Starter]
    caps_that_hold: ClassVar[Callable[[models.Experiment], SafeString]]

    form = ExperimentForm
    list_display = ("name", "shown_status", "shown_population", "started_at", "shown_report")
    list_select_related = ("segment__playbook", "playbook")
    list_filter = ("status",)
    search_fields = ("key", "name")
    autocomplete_fields = ("segment", "playbook")
    inlines = (ArmInline,)
    actions = ("start", "start_without_present", "stop")
    readonly_fields = ("status", "started_at", "stopped_at", "protocol", "protocol_sha256")
    fieldsets = (
        (None, {"fields": ("name", "hypothesis", "segment", "playbook")}),
        (
            "How learners are drawn",
            {
                "classes": ("collapse",),
                "fields": ("coverage", "differs_outside", "unit", "method", "seed", "key"),
            },
        ),
        (
            "State and protocol",
            {
                "classes": ("collapse",),
                "fields": ("status", "started_at", "stopped_at", "protocol", "protocol_sha256"),
            },
        ),
    )

    @display(description="Status", label=STATUS_COLORS)
    def shown_status(self, experiment: models.Experiment) -> tuple[str, str]:
        """Return the status with its colour."""
        return experiment.status, experiment.get_status_display()

    @display(description="Among members of")
    def shown_population(self, experiment: models.Experiment) -> str:
        """Return the segment or playbook, with its courses."""
        return str(experiment.segment or experiment.playbook)

    @display(description="Report")
    def shown_report(self, experiment: models.Experiment) -> SafeString:
        """Return a link to the report."""
        url = reverse("experiments:report", args=(experiment.key,))
        return format_html('<a href="{}">Read the report</a>', url)

    def get_prepopulated_fields(self, request: HttpRequest, obj: Any = None) -> dict[str, Any]:
        """Make the key of a new row from its name while one types."""
        return {} if obj else {"key": ("name",)}

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """Return also the fields that the draws depend on once the experiment has started."""
        return (
            self.readonly_fields
            if is_draft(obj)
            else (*self.readonly_fields, *LOCKED, "shown_caps")
        )

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """Add the caps that still limit the learners of a stopped experiment."""
        found = super().get_fieldsets(request, obj)
        is_stopped = obj is not None and obj.status == models.ExperimentStatus.STOPPED
        if is_stopped and type(self).caps_that_hold(obj):
            return [*found[:1], (None, {"fields": ("shown_caps",)}), *found[1:]]
        return found

    @display(description="Caps that still hold")
    def shown_caps(self, experiment: models.Experiment) -> SafeString:
        """Return the caps of the arms, and how to end them."""
        return type(self).caps_that_hold(experiment)

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """Save the arms, and show what a draft still lacks."""
        super().save_related(request, form, formsets, change)
        problems = draft_problems(form.instance) if is_draft(form.instance) else []
        if problems:
            text = "Saved, but this draft cannot start yet."
            messages.warning(request, " ".join([text, *problems]))

    def buttons(self, request: HttpRequest, row: models.Experiment) -> list[Button]:
        """Return what the user may do with the experiment now."""
        if row.status == models.ExperimentStatus.DRAFT:
            return [START, START_NEW] if self.has_send_permission(request) else []
        is_running = row.status == models.ExperimentStatus.RUNNING
        return [STOP] if is_running and self.has_change_permission(request) else []

    @admin.action(description="Start and draw present members too", permissions=["send"])
    def start(self, request: HttpRequest, queryset: QuerySet[models.Experiment]) -> None:
        """Start the chosen experiments and draw the present members."""
        self._start(request, queryset, present=True)

    @admin.action(description="Start and draw new members only", permissions=["send"])
    def start_without_present(
        self, request: HttpRequest, queryset: QuerySet[models.Experiment]
    ) -> None:
        """Start the chosen experiments without drawing the present members."""
        self._start(request, queryset, present=False)

    def _start(
        self, request: HttpRequest, queryset: QuerySet[models.Experiment], present: bool
    ) -> None:
        for experiment in queryset:
            try:
                type(self).starter(
                    experiment.pk, now=utc_now(), draw_present=present, viewer=request.user
                )
            except ProtocolError as error:
                messages.error(request, f"{experiment}: {error}")
                continue
            messages.success(request, f"{experiment} is running.")
            for sentence in hindrances(courses_of(experiment, viewer=request.user)):
                messages.warning(request, sentence)

    @admin.action(description="Stop: draw no more learners", permissions=["change"])
    def stop(self, request: HttpRequest, queryset: QuerySet[models.Experiment]) -> None:
        """Stop the chosen experiments, and name those that were not running."""
        for experiment in queryset:
            if experiment.status == models.ExperimentStatus.DRAFT:
                messages.warning(request, f"{experiment} was never started. It stays a draft.")
            elif experiment.status == models.ExperimentStatus.STOPPED:
                messages.warning(request, f"{experiment} was already stopped. Nothing changed.")
            else:
                stop_experiment(experiment.pk, now=utc_now())
                text = f"{experiment} is stopped. Its report still counts the learners drawn."
                messages.success(request, text)


@admin.register(models.Arm)
class ArmAdmin(ReadOnlyAdmin):
    """Arms of all experiments, read-only. Arms are edited on the page of their experiment."""

    list_display = ("shown_name", "experiment", "weight", "is_control")
    list_select_related = ("experiment",)
    list_filter = (("experiment", RelatedFilter),)
    search_fields = ("key", "name", "experiment__key")

    @display(description="Arm")
    def shown_name(self, arm: models.Arm) -> str:
        """Return the name, or the key where there is none."""
        return arm.own_name


@admin.register(models.Assignment)
class AssignmentAdmin(ReadOnlyAdmin):
    """The arm of each enrollment, with the bucket and the instant of the draw."""

    list_display = ("enrollment", "experiment", "arm", "bucket", "assigned_at")
    list_select_related = ("enrollment__learner", "enrollment__course", "experiment", "arm")
    list_filter = (("experiment", RelatedFilter),)
    search_fields = ("enrollment__learner__external_id__exact",)
    search_help_text = WHOLE_ID


class ReasonFilter(DropdownFilter):
    """A filter by the reason, in words. A list of the stored reasons would read all rows."""

    title = "reason"
    parameter_name = "reason"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Return the known reasons."""
        return sorted(REASONS.items(), key=itemgetter(1))

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Return the outcomes with the chosen reason."""
        return queryset.filter(reason=self.value()) if self.value() else queryset


@admin.register(models.DeliveryOutcome)
class DeliveryOutcomeAdmin(ReadOnlyAdmin):
    """The outcome of each delivery to an assigned learner; for a control, of its ghost."""

    list_display = ("shown_learner", "shown_arm", "outcome", "shown_reason", "at")
    list_select_related = ("assignment__enrollment__learner", "assignment__arm")
    list_filter = ("outcome", ReasonFilter, ("assignment__arm", RelatedFilter))
    search_fields = ("assignment__enrollment__learner__external_id__exact",)
    search_help_text = WHOLE_ID

    @display(description="Learner")
    def shown_learner(self, outcome: models.DeliveryOutcome) -> str:
        """Return the learner."""
        return str(outcome.assignment.enrollment.learner)

    @display(description="Arm")
    def shown_arm(self, outcome: models.DeliveryOutcome) -> str:
        """Return the arm."""
        return outcome.assignment.arm.own_name

    @display(description="Because")
    def shown_reason(self, outcome: models.DeliveryOutcome) -> str:
        """Return the reason in words."""
        return reason_text(outcome.reason)


LearnerAdmin.add_links(ListLink("Experiments", models.Assignment, by_learner))
EnrollmentAdmin.add_links(ListLink("Experiments", models.Assignment, by_enrollment))
