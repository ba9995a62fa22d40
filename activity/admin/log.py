"""Admin pages of the event log, of the tables derived from it, and of the evaluation queue."""

from typing import Any

from django.contrib import admin, messages
from django.contrib.admin import EmptyFieldListFilter
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from unfold.decorators import display

from activity import models, operations
from activity.admin.bases import WHOLE_ID, KeptAdmin, ReadOnlyAdmin
from common.clock import utc_now


@admin.register(models.Verb)
class VerbAdmin(KeptAdmin):
    """Verbs in addition to the built-in ones."""

    list_display = ("name", "is_act")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """Make a saved verb read-only, because the read models already depend on it."""
        return ("name", "is_act") if obj else ()


@admin.register(models.Event)
class EventAdmin(ReadOnlyAdmin):
    """The event log. Each filter has a partial index of the few events that it selects."""

    list_display = ("verb", "enrollment", "item", "occurred_at", "count", "score", "source")
    list_select_related = ("enrollment__learner", "enrollment__course", "item")
    search_fields = ("enrollment__learner__external_id__exact",)
    search_help_text = WHOLE_ID
    list_filter = (("sent_score", EmptyFieldListFilter), ("corrected_at", EmptyFieldListFilter))


@admin.register(models.Due)
class DueAdmin(ReadOnlyAdmin):
    """The enrollments that wait for evaluation, and failed evaluations."""

    list_display = ("enrollment", "due_at", "cause", "evaluated_at", "attempts", "error")
    list_select_related = ("enrollment__learner", "enrollment__course")
    search_fields = ("enrollment__learner__external_id__exact",)
    search_help_text = WHOLE_ID


@admin.register(models.DailyActivity)
class DailyActivityAdmin(ReadOnlyAdmin):
    """The activity of each enrollment by day."""

    list_display = ("enrollment", "day", "acts", "logins", "views", "attempts", "passed")
    list_select_related = ("enrollment__learner", "enrollment__course")
    search_fields = ("enrollment__learner__external_id__exact",)
    search_help_text = WHOLE_ID


@admin.register(models.Progress)
class ProgressAdmin(ReadOnlyAdmin):
    """How far each enrollment is with each item."""

    list_display = ("enrollment", "item", "first_touched_at", "attempts", "first_completed_at")
    list_select_related = ("enrollment__learner", "enrollment__course", "item")
    search_fields = ("enrollment__learner__external_id__exact",)
    search_help_text = WHOLE_ID


@admin.register(models.RejectedEvent)
class RejectedEventAdmin(ReadOnlyAdmin):
    """Events that could not be stored, with the reason and an action to try them again."""

    list_display = ("message", "reason", "received_at", "shown_state")
    list_filter = ("reason",)
    actions = ("replay", "correct")

    @display(description="State")
    def shown_state(self, rejected: models.RejectedEvent) -> str:
        """Return whether the event waits, was stored later, or needs an action by staff."""
        if rejected.replayed_at:
            return "stored later"
        return "waits for its time" if rejected.replay_at else "open"

    @admin.action(description="Try these again", permissions=["replay"])
    def replay(self, request: HttpRequest, queryset: QuerySet[Model]) -> None:
        """Ingest the chosen events again, for example after the roster was corrected."""
        ids = list(queryset.values_list("pk", flat=True))
        result = operations.replay_rejected(now=utc_now(), ids=ids)
        messages.info(request, f"{result.stored} stored, {len(result.rejected)} still rejected.")

    @admin.action(
        description="Replace the stored events by these (conflicts)", permissions=["replay"]
    )
    def correct(self, request: HttpRequest, queryset: QuerySet[Model]) -> None:
        """Replace stored events by the chosen conflicts, for example after a changed grade."""
        ids = list(queryset.values_list("pk", flat=True))
        corrected = operations.correct_events(ids, now=utc_now())
        left = len(ids) - corrected
        messages.info(request, f"{corrected} corrected, {left} not changed.")

    def has_replay_permission(self, request: HttpRequest) -> bool:
        """Return whether the user may change rejected events."""
        return bool(request.user.has_perm("activity.change_rejectedevent"))


@admin.register(models.Settling)
class SettlingAdmin(ReadOnlyAdmin):
    """Progress of the edits of large courses, whose learners are updated in steps."""

    list_display = ("course", "rebuilt_through", "is_rebuilt", "pulled_through")
    list_select_related = ("course",)
    search_fields = ("course__key",)


@admin.register(models.PastChange)
class PastChangeAdmin(ReadOnlyAdmin):
    """Notes that a course's past has changed, until its norms are renewed."""

    list_display = ("course", "occurred_at")
    list_select_related = ("course",)
    search_fields = ("course__key",)


@admin.register(models.PendingNo)
class PendingNoAdmin(ReadOnlyAdmin):
    """Opt-outs, complaints and bounces that are not applied yet."""

    list_display = ("learner", "mailbox", "kind", "source", "said_at", "error")
    list_select_related = ("learner",)
    list_filter = ("kind", "source")
    search_fields = ("learner__external_id__exact", "mailbox__exact")
    search_help_text = WHOLE_ID
