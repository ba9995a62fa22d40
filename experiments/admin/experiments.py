"""Admin pages of experiments, arms, assignments and delivery outcomes."""

from collections.abc import Callable
from datetime import datetime
from typing import Any, ClassVar, Protocol

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.decorators import display

from activity.access import Viewer
from activity.admin import (
    Button,
    ButtonsAdmin,
    KeptAdmin,
    SendingAdmin,
    TableInline,
)
from common.clock import utc_now
from experiments import models
from experiments.design import ADAPTIVE, SECTION, WINNER
from experiments.forms import ADAPTING_FIELDS, ArmForm, ArmFormSet, ExperimentForm
from experiments.operations import archive_experiment, note_state, stop_experiment
from experiments.protocol import ProtocolError
from experiments.queries import courses_of, design_problems, draft_problems, without_section
from experiments.reporting.text import hindrances

STATUS_COLORS = {
    "draft": "info",
    "checked": "info",
    "running": "success",
    "stopped": "warning",
    "archived": "default",
}
DESIGN = ("method", *ADAPTING_FIELDS, "strata", "block_sizes", "section_rule")
LAYER = ("layer", "layer_start", "layer_end", "excludes_reached")
END = ("ends_at", "most_learners", "most_sections", "afterwards", "afterwards_arm")
ANALYSIS = (
    "primary_outcome", "smallest_lift", "other_outcomes", "guardrails",
    "expected_learners", "looks", "subgroups",
)  # fmt: skip
LOCKED = (
    "key", "hypothesis", "segment", "playbook", *DESIGN, "seed", "differs_outside", *ANALYSIS,
    *LAYER, *END,
)  # fmt: skip
NAME_IT = (
    "The control gets the winner as soon as it is named. Choose it in the list of arms, and the "
    "action “Give this arm to the control”."
)
STATE = (
    "status",
    "checked_at",
    "started_at",
    "stopped_at",
    "ended_because",
    "winner",
    "archived_at",
    "protocol",
    "protocol_sha256",
)


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
ARCHIVE = Button(
    "archive",
    "Archive",
    "It is put away, and its part of an exclusion layer is free again. Its report stays.",
)


def is_draft(experiment: models.Experiment | None) -> bool:
    """Return whether the experiment has not started, so that nobody can have been drawn."""
    return experiment is None or models.ExperimentStatus(experiment.status).may_be_edited


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


def _without_adapting(options: dict[str, Any]) -> dict[str, Any]:
    fields = tuple(each for each in options["fields"] if each not in ADAPTING_FIELDS)
    return {**options, "fields": fields}


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
    actions = ("start", "start_without_present", "stop", "archive")
    readonly_fields = STATE
    # The page of a started experiment has no method to choose.
    conditional_fields: ClassVar = dict.fromkeys(
        ADAPTING_FIELDS, f"typeof method === 'undefined' || method === '{ADAPTIVE}'"
    )
    fieldsets = (
        (None, {"fields": ("name", "hypothesis", "segment", "playbook")}),
        (
            "How learners are drawn",
            {
                "classes": ("collapse",),
                "fields": (*DESIGN, "coverage", "differs_outside", "seed", "key"),
            },
        ),
        ("How it is judged", {"classes": ("collapse",), "fields": ANALYSIS}),
        ("Other experiments and messages", {"classes": ("collapse",), "fields": LAYER}),
        ("The end, and what follows", {"classes": ("collapse",), "fields": END}),
        (
            "State and protocol",
            {"classes": ("collapse",), "fields": STATE},
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
        """Return a link to the report, or for a draft to the page that checks it."""
        if is_draft(experiment):
            url = reverse("experiments:check", args=(experiment.key,))
            return format_html('<a href="{}">Check what it could show</a>', url)
        url = reverse("experiments:report", args=(experiment.key,))
        return format_html('<a href="{}">Read the report</a>', url)

    def get_prepopulated_fields(self, request: HttpRequest, obj: Any = None) -> dict[str, Any]:
        """Make the key of a new row from its name while one types."""
        return {} if obj else {"key": ("name",)}

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """Return also the fields that the draws depend on once the experiment has started."""
        return (
            (*self.readonly_fields, "shown_report")
            if is_draft(obj)
            else (*self.readonly_fields, *LOCKED, "shown_caps")
        )

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """Add the check of a draft, or the caps that still limit learners after the stop."""
        found = super().get_fieldsets(request, obj)
        if obj is not None and is_draft(obj):
            return [*found[:1], (None, {"fields": ("shown_report",)}), *found[1:]]
        if obj is not None and obj.method != ADAPTIVE:
            # No script hides them where the method cannot be chosen.
            found = [(name, _without_adapting(options)) for name, options in found]
        is_stopped = obj is not None and obj.status == models.ExperimentStatus.STOPPED
        if is_stopped and type(self).caps_that_hold(obj):
            return [*found[:1], (None, {"fields": ("shown_caps",)}), *found[1:]]
        return found

    @display(description="Caps that still hold")
    def shown_caps(self, experiment: models.Experiment) -> SafeString:
        """Return the caps of the arms, and how to end them."""
        return type(self).caps_that_hold(experiment)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Save the row, and note what changed of a started experiment in its ledger."""
        super().save_model(request, obj, form, change)
        if change and not is_draft(obj):
            note_state(obj.pk, now=utc_now())

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """Save the arms, and show what a draft still lacks."""
        super().save_related(request, form, formsets, change)
        problems = []
        if is_draft(form.instance):
            problems = draft_problems(form.instance) + design_problems(form.instance)
        if problems:
            text = "Saved, but this draft cannot start yet."
            messages.warning(request, " ".join([text, *problems]))

    def buttons(self, request: HttpRequest, row: models.Experiment) -> list[Button]:
        """Return what the user may do with the experiment now."""
        if is_draft(row):
            return [START, START_NEW] if self.has_send_permission(request) else []
        following = {"running": [STOP], "stopped": [ARCHIVE]}.get(row.status, [])
        return following if self.has_change_permission(request) else []

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
            self._warn_of_unplaced(request, experiment)

    def _warn_of_unplaced(self, request: HttpRequest, experiment: models.Experiment) -> None:
        unplaced = without_section(experiment) if experiment.unit == SECTION else 0
        if unplaced:
            text = f"Learners who have no section, and so are not drawn: {unplaced}."
            messages.warning(request, text)

    @admin.action(description="Stop: draw no more learners", permissions=["change"])
    def stop(self, request: HttpRequest, queryset: QuerySet[models.Experiment]) -> None:
        """Stop the chosen experiments, and name those that were not running."""
        for experiment in queryset:
            if is_draft(experiment):
                messages.warning(request, f"{experiment} was never started. It stays a draft.")
            elif experiment.status != models.ExperimentStatus.RUNNING:
                messages.warning(request, f"{experiment} was already stopped. Nothing changed.")
            else:
                stop_experiment(experiment.pk, now=utc_now())
                text = f"{experiment} is stopped. Its report still counts the learners drawn."
                messages.success(request, text)
                if experiment.afterwards == WINNER:
                    messages.info(request, NAME_IT)

    @admin.action(description="Archive: put it away", permissions=["change"])
    def archive(self, request: HttpRequest, queryset: QuerySet[models.Experiment]) -> None:
        """Archive the chosen experiments, and say why one cannot be."""
        for experiment in queryset:
            try:
                archive_experiment(experiment.pk, now=utc_now())
            except ProtocolError as error:
                messages.warning(request, f"{experiment}: {error}")
            else:
                messages.success(request, f"{experiment} is archived. Its report stays.")


@admin.register(models.ExclusionLayer)
class ExclusionLayerAdmin(KeptAdmin):
    """Exclusion layers. Experiments choose one, and a part of it."""

    list_display = ("name", "key")
    search_fields = ("key", "name")
    fields = ("name", "key")

    def get_prepopulated_fields(self, request: HttpRequest, obj: Any = None) -> dict[str, Any]:
        """Make the key of a new row from its name while one types."""
        return {} if obj else {"key": ("name",)}

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """Return the key of an existing row: protocols name it."""
        return ("key",) if obj else ()
