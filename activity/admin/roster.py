"""Admin pages of courses, learners and enrollments."""

from typing import Any

from django.contrib import admin
from django.contrib.admin import EmptyFieldListFilter
from django.db.models import DateField
from django.http import HttpRequest
from django.urls import reverse
from unfold.decorators import display

from activity import models, operations
from activity.admin.bases import WHOLE_ID, BigTableAdmin, KeptAdmin, RelatedFilter
from activity.admin.days import DayField
from activity.admin.exports import Column, Export, ExportedList
from activity.admin.zones import ZoneField, ZoneWidget
from activity.fields import TraitsField
from common.admin import ListLink
from common.clock import utc_now
from common.dates import day_text, instant_text
from common.forms import JSONTextField

ABOUT = "Segments, messages and what happened"


def about_learner(learner_id: int, enrollment_id: int | None = None) -> tuple[str, str]:
    """Return the title and address of the learner's page, opened at the enrollment."""
    page = reverse("learner", args=(learner_id,))
    return ABOUT, page if enrollment_id is None else f"{page}?enrollment={enrollment_id}"


def by_learner(learner: models.Learner) -> dict[str, object]:
    """Narrow a list by searching for the learner's id, which is unique."""
    return {"q": learner.external_id}


def by_enrollment(enrollment: models.Enrollment) -> dict[str, object]:
    """Narrow a list to the rows of an enrollment."""
    return {"enrollment__id__exact": enrollment.pk}


# This form field says where a text is not JSON, and shows an unreadable text again unchanged.
JSON_TEXT = {TraitsField: {"form_class": JSONTextField}}
DAYS = {DateField: {"form_class": DayField}}


@admin.register(models.Course)
class CourseAdmin(KeptAdmin):
    """Courses. While "live since" is empty, no learner is drawn or messaged."""

    formfield_overrides = KeptAdmin.formfield_overrides | DAYS
    list_display = ("title", "key", "shown_state", "starts_on", "ends_on", "time_zone")
    search_fields = ("key", "title")
    list_filter = ("starts_on",)
    readonly_fields = ("clock_stopped_at",)
    fieldsets = (
        (
            None,
            {"fields": ("title", "key", "time_zone", "starts_on", "ends_on", "live_since")},
        ),
        (
            "Language, replies and address",
            {"classes": ("collapse",), "fields": ("locale", "contact_email", "url")},
        ),
        (
            "When a quiz is passed, and what counts as late",
            {
                "classes": ("collapse",),
                "fields": (
                    "pass_mark",
                    "grace_days",
                    "late_after_hours",
                    "late_events_start",
                    "clock_stopped_at",
                ),
            },
        ),
    )

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """Offer the names of zones, and read the name of a city as its zone."""
        if db_field.name == "time_zone":
            kwargs |= {"form_class": ZoneField, "widget": ZoneWidget}
        return super().formfield_for_dbfield(db_field, request, **kwargs)

    def get_prepopulated_fields(self, request: HttpRequest, obj: Any = None) -> dict[str, Any]:
        """Make the key of a new course from its title while one types."""
        return {} if obj else {"key": ("title",)}

    @display(
        description="State",
        label={"live": "success", "not live": "warning", "simulated": "info"},
    )
    def shown_state(self, course: models.Course) -> tuple[str, str]:
        """Return the key of the state's color, and the text."""
        if stopped_at := course.clock_stopped_at:
            return (
                "simulated",
                f"simulated, as of {instant_text(stopped_at, zone=course.time_zone)}",
            )
        if course.live_since and course.live_since <= utc_now():
            return "live", "live"
        return "not live", "not live: nobody is messaged"

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Save through the operation that also re-evaluates the affected enrollments."""
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

    formfield_overrides = BigTableAdmin.formfield_overrides | DAYS
    list_display = ("shown_title", "kind", "course", "parent", "assigned_on", "due_on")
    list_select_related = ("course", "parent")
    list_filter = ("kind", ("course", RelatedFilter))
    search_fields = ("key", "title")
    autocomplete_fields = ("course", "parent")

    @display(description="Item")
    def shown_title(self, item: models.Item) -> str:
        """Return the title, or the key if there is no title."""
        return str(item)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return False: events refer to the item."""
        return False

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Save through the operation that also re-evaluates the affected enrollments."""
        operations.save_edited(obj, columns=form.changed_data, now=utc_now())


@admin.register(models.Learner)
class LearnerAdmin(ExportedList, BigTableAdmin):
    """Learners, found by external id, address or name.

    Each comparison has an index: the unique one of external_id, learner_by_email, learner_by_name.
    """

    list_links = (
        ListLink("Enrollments", models.Enrollment, by_learner),
        ListLink("Events", models.Event, by_learner),
    )
    formfield_overrides = BigTableAdmin.formfield_overrides | JSON_TEXT
    list_display = ("external_id", "name", "email", "time_zone", "locale")
    search_fields = ("external_id__exact", "email__iexact", "name__istartswith")
    search_help_text = "The whole external id or address, or the beginning of the name"
    list_filter = (("unusable_email", EmptyFieldListFilter),)
    readonly_fields = ("unusable_email",)
    has_import = True
    export = Export(
        (
            Column("learner", "external_id", "the learner's id on the platform"),
            Column("name", "name", "the learner's name"),
            Column("email", "email", "the address; empty if there is none"),
            Column("time_zone", "time_zone", "the learner's own time zone; empty if unknown"),
            Column("locale", "locale", "the learner's language; empty if unknown"),
        )
    )

    def page_links(self, row: Any) -> list[tuple[str, str]]:
        """Return the page of the learner for daily work."""
        return [about_learner(row.pk)]

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return False: deleting a learner would delete their events and messages."""
        return False

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Save through the operation that also re-evaluates the affected enrollments."""
        columns = set(form.changed_data)
        if "email" in columns:
            # A user has corrected the address from the file.
            obj.unusable_email = ""
            columns.add("unusable_email")
        operations.save_edited(obj, columns=columns, now=utc_now())


@admin.register(models.Enrollment)
class EnrollmentAdmin(ExportedList, BigTableAdmin):
    """Enrollments, with their state in words."""

    list_links = (
        ListLink("Learner", models.Learner, lambda each: {"id__exact": each.learner_id}),
        ListLink("Progress", models.Progress, by_enrollment),
        ListLink("Daily activity", models.DailyActivity, by_enrollment),
        ListLink("Events", models.Event, by_enrollment),
    )
    formfield_overrides = BigTableAdmin.formfield_overrides | JSON_TEXT
    list_display = ("learner", "course", "shown_state", "enrolled_at", "last_event_at")
    list_select_related = ("learner", "course")
    list_filter = (("course", RelatedFilter),)
    search_fields = ("learner__external_id__exact",)
    search_help_text = WHOLE_ID
    autocomplete_fields = ("learner", "course", "section")
    readonly_fields = ("unit_key", "last_event_at")
    has_import = True
    export = Export(
        (
            Column("learner", "learner__external_id", "the learner's id on the platform"),
            Column("name", "learner__name", "the learner's name"),
            Column("course", "course__key", "the key of the course"),
            Column("section", "section__key", "the key of the section; empty if there is none"),
            Column("enrolled_at", "enrolled_at", "when the learner joined the course"),
            Column("withdrew_at", "withdrew_at", "when the learner left the course; or empty"),
            Column("completed_at", "completed_at", "when the learner completed it; or empty"),
            Column("last_event_at", "last_event_at", "the learner's latest event; or empty"),
        ),
        zone="course__time_zone",
    )

    def page_links(self, row: Any) -> list[tuple[str, str]]:
        """Return the page of the learner, opened at this enrollment."""
        return [about_learner(row.learner_id, row.pk)]

    @display(description="State")
    def shown_state(self, enrollment: models.Enrollment) -> str:
        """Return whether the learner is still in the course, with days of its zone."""
        ends = (
            (enrollment.withdrew_at, "withdrew", "enrolled, withdraws"),
            (enrollment.completed_at, "completed", "enrolled, completes"),
        )
        for at, did, does in ends:
            if at is not None:
                verb = did if at <= utc_now() else does
                return f"{verb} on {day_text(at, zone=enrollment.course.time_zone)}"
        return "enrolled"

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return False: set the date of withdrawal instead."""
        return False

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Save through the operation that also re-evaluates the affected enrollments."""
        operations.save_edited(obj, columns=form.changed_data, now=utc_now())
