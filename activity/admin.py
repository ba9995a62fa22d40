"""Admin pages of courses, learners and what they did."""

from typing import Any

from django.contrib import admin, messages
from django.contrib.admin import EmptyFieldListFilter
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from unfold.contrib.filters.admin import AutocompleteSelectFilter
from unfold.decorators import display

from activity import models, operations
from activity.fields import TraitsField
from activity.rights import may_send
from common.admin import BigTableAdmin, KeptAdmin, LinkedAdmin, ListLink, ReadOnlyAdmin
from common.clock import utc_now
from common.forms import JSONTextField

# A part of an id would read the whole table; the whole id is found in an index.
WHOLE_ID = "The whole external id of a learner"


def _by_id(learner: models.Learner) -> dict[str, object]:
    """Narrow a list by what it is searched for: the id, which is in no other learner's."""
    return {"q": learner.external_id}


def _by_enrollments(learner: models.Learner) -> dict[str, object]:
    # The ledger has an index by enrollment, none by learner. Nobody is in many courses.
    ids = models.Enrollment.objects.filter(learner=learner).values_list("pk", flat=True)[:100]
    return {"enrollment__in": ",".join(map(str, ids)) or "0"}


def _by_enrollment(enrollment: models.Enrollment) -> dict[str, object]:
    return {"enrollment__id__exact": enrollment.pk}


# It says where text stops being JSON, and shows what cannot be read again as it was typed.
JSON_TEXT = {TraitsField: {"form_class": JSONTextField}}
LEFT: dict[str, object] = {"stay": "left"}
LISTS_OF_LEARNER = (
    ListLink("Enrollments", "activity.enrollment", _by_id),
    ListLink("In segments", "segmentation.membership", _by_id),
    ListLink("Left segments", "segmentation.membership", lambda each: _by_id(each) | LEFT),
    ListLink("Entered and left", "segmentation.transition", _by_id),
    ListLink("Messages", "interventions.delivery", _by_enrollments),
    ListLink("Consent", "interventions.consent", _by_id),
    ListLink("Experiments", "experiments.assignment", _by_id),
    ListLink("Events", "activity.event", _by_id),
)
LISTS_OF_ENROLLMENT = (
    ListLink("Learner", "activity.learner", lambda each: {"id__exact": each.learner_id}),
    ListLink("In segments", "segmentation.membership", _by_enrollment),
    ListLink("Left segments", "segmentation.membership", lambda each: _by_enrollment(each) | LEFT),
    ListLink("Entered and left", "segmentation.transition", _by_enrollment),
    ListLink("Messages", "interventions.delivery", _by_enrollment),
    ListLink("Experiments", "experiments.assignment", _by_enrollment),
    ListLink("Progress", "activity.progress", _by_enrollment),
    ListLink("Daily activity", "activity.dailyactivity", _by_enrollment),
    ListLink("Events", "activity.event", _by_enrollment),
)


class SendingAdmin(LinkedAdmin):
    """A page some of whose actions let messages out: those ask for the permission "send"."""

    def has_send_permission(self, request: HttpRequest) -> bool:
        """Return whether the user may change these rows and let messages out."""
        return self.has_change_permission(request) and may_send(request.user)


@admin.register(models.Course)
class CourseAdmin(KeptAdmin):
    """Courses. Going live is a field: empty means that nobody is drawn or messaged."""

    list_display = ("title", "key", "shown_state", "starts_on", "ends_on", "time_zone")
    search_fields = ("key", "title")
    list_filter = ("starts_on",)
    readonly_fields = ("clock_stopped_at",)

    @display(
        description="State",
        label={"live": "success", "not live": "warning", "simulated": "info"},
    )
    def shown_state(self, course: models.Course) -> tuple[str, str]:
        """Return the state's colour key and its words."""
        if course.clock_stopped_at:
            return "simulated", f"simulated, as of {course.clock_stopped_at:%Y-%m-%d %H:%M} UTC"
        if course.live_since:
            return "live", "live"
        return "not live", "not live: nobody is messaged"

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Save through the operation that also re-evaluates whom the change concerns."""
        operations.save_edited(obj, columns=form.changed_data, now=utc_now())


@admin.register(models.Section)
class SectionAdmin(BigTableAdmin):
    """Sections of courses."""

    list_display = ("key", "course", "teacher")
    list_select_related = ("course",)
    search_fields = ("key",)
    autocomplete_fields = ("course",)


@admin.register(models.Item)
class ItemAdmin(BigTableAdmin):
    """Items of courses. A change of dates or kind re-evaluates the course."""

    list_display = ("shown_title", "kind", "course", "parent", "assigned_on", "due_on")
    list_select_related = ("course", "parent")
    list_filter = ("kind", ("course", AutocompleteSelectFilter))
    search_fields = ("key", "title")
    autocomplete_fields = ("course", "parent")

    @display(description="Item")
    def shown_title(self, item: models.Item) -> str:
        """Return the title, or the key where there is none."""
        return str(item)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return False: events speak of it."""
        return False

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Save through the operation that also re-evaluates whom the change concerns."""
        operations.save_edited(obj, columns=form.changed_data, now=utc_now())


@admin.register(models.Learner)
class LearnerAdmin(BigTableAdmin):
    """Learners, found by external id, address or name.

    Each comparison has its index: the unique one of external_id, learner_by_email, learner_by_name.
    """

    list_links = LISTS_OF_LEARNER
    formfield_overrides = JSON_TEXT
    list_display = ("external_id", "name", "email", "time_zone", "locale")
    search_fields = ("external_id__exact", "email__iexact", "name__istartswith")
    search_help_text = "The whole external id or address, or the beginning of the name"
    list_filter = (("unusable_email", EmptyFieldListFilter),)
    readonly_fields = ("unusable_email",)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return False: deleting takes every event and message along."""
        return False

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Save through the operation that also re-evaluates whom the change concerns."""
        columns = set(form.changed_data)
        if "email" in columns:
            # Somebody has corrected what a file gave.
            obj.unusable_email = ""
            columns.add("unusable_email")
        operations.save_edited(obj, columns=columns, now=utc_now())


@admin.register(models.Enrollment)
class EnrollmentAdmin(BigTableAdmin):
    """Enrollments, with their state in words."""

    list_links = LISTS_OF_ENROLLMENT
    formfield_overrides = JSON_TEXT
    list_display = ("learner", "course", "shown_state", "enrolled_at", "last_event_at")
    list_select_related = ("learner", "course")
    list_filter = (("course", AutocompleteSelectFilter),)
    search_fields = ("learner__external_id__exact",)
    search_help_text = WHOLE_ID
    autocomplete_fields = ("learner", "course", "section")
    readonly_fields = ("unit_key", "last_event_at")

    @display(description="State")
    def shown_state(self, enrollment: models.Enrollment) -> str:
        """Return whether the learner is still in the course."""
        if enrollment.withdrew_at:
            return f"withdrew on {enrollment.withdrew_at:%Y-%m-%d}"
        if enrollment.completed_at:
            return f"completed on {enrollment.completed_at:%Y-%m-%d}"
        return "enrolled"

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return False: withdraw it instead."""
        return False

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Save through the operation that also re-evaluates whom the change concerns."""
        operations.save_edited(obj, columns=form.changed_data, now=utc_now())


@admin.register(models.Verb)
class VerbAdmin(KeptAdmin):
    """Verbs beside the built-in ones."""

    list_display = ("name", "is_act")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """Keep a saved verb as it is: what it counts as is already in the read models."""
        return ("name", "is_act") if obj else ()


@admin.register(models.Event)
class EventAdmin(ReadOnlyAdmin):
    """The event log. Each filter has an index of the few events that it is about."""

    list_display = ("verb", "enrollment", "item", "occurred_at", "count", "score", "source")
    list_select_related = ("enrollment__learner", "enrollment__course", "item")
    search_fields = ("enrollment__learner__external_id__exact",)
    search_help_text = WHOLE_ID
    list_filter = (("sent_score", EmptyFieldListFilter), ("corrected_at", EmptyFieldListFilter))


@admin.register(models.Due)
class DueAdmin(ReadOnlyAdmin):
    """What waits for evaluation, and what failed."""

    list_display = ("enrollment", "due_at", "cause", "evaluated_at", "attempts", "error")
    list_select_related = ("enrollment__learner", "enrollment__course")
    search_fields = ("enrollment__learner__external_id__exact",)
    search_help_text = WHOLE_ID


@admin.register(models.DailyActivity)
class DailyActivityAdmin(ReadOnlyAdmin):
    """What each enrollment did day by day."""

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
    """Events that could not be stored, with the reason and a way to try again."""

    list_display = ("message", "reason", "received_at", "shown_state")
    list_filter = ("reason",)
    actions = ("replay", "correct")

    @display(description="State")
    def shown_state(self, rejected: models.RejectedEvent) -> str:
        """Return whether the event waits, was stored later, or needs a hand."""
        if rejected.replayed_at:
            return "stored later"
        return "waits for its instant" if rejected.replay_at else "open"

    @admin.action(description="Try these again", permissions=["replay"])
    def replay(self, request: HttpRequest, queryset: QuerySet[Model]) -> None:
        """Ingest the chosen events again, after what was missing is there."""
        ids = list(queryset.values_list("pk", flat=True))
        result = operations.replay_rejected(now=utc_now(), ids=ids)
        messages.info(request, f"{result.stored} stored, {len(result.rejected)} still rejected.")

    @admin.action(
        description="Let these hold in place of what is stored (conflicts)", permissions=["replay"]
    )
    def correct(self, request: HttpRequest, queryset: QuerySet[Model]) -> None:
        """Apply the chosen conflicts, such as a grade that was changed later."""
        ids = list(queryset.values_list("pk", flat=True))
        corrected = operations.correct_events(ids, now=utc_now())
        left = len(ids) - corrected
        messages.info(request, f"{corrected} corrected, {left} left as they were.")

    def has_replay_permission(self, request: HttpRequest) -> bool:
        """Return whether the user may change rejected events."""
        return bool(request.user.has_perm("activity.change_rejectedevent"))


@admin.register(models.Settling)
class SettlingAdmin(ReadOnlyAdmin):
    """How far an edit of a large course has come: its learners are met in steps."""

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
    """What learners said against being written to, until it is applied a moment later."""

    list_display = ("learner", "mailbox", "kind", "source", "said_at", "error")
    list_select_related = ("learner",)
    list_filter = ("kind", "source")
    search_fields = ("learner__external_id__exact", "mailbox__exact")
    search_help_text = WHOLE_ID
