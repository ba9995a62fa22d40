"""Admin pages of members now and in the past, of overrides, and of entries and leavings."""

from datetime import datetime
from typing import Any

from django.contrib import admin
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from unfold.contrib.filters.admin import DropdownFilter
from unfold.decorators import display

from activity.admin import (
    COURSE_ZONE,
    ENROLLED,
    WHOLE_ID,
    BigTableAdmin,
    Column,
    EnrollmentAdmin,
    Export,
    ExportedList,
    LearnerAdmin,
    ReadOnlyAdmin,
    RelatedFilter,
    about_learner,
    by_enrollment,
    by_learner,
)
from activity.models import Event
from common.admin import ListLink, once_a_row, page_link
from common.clock import utc_now
from segmentation import models, operations
from segmentation.admin.reasons import reasons_text
from segmentation.admin.words import in_words, user_of
from segmentation.forms import OverrideForm
from segmentation.rules import in_english

# The search uses the unique index of external_id, then the index of enrollments by learner, then
# the index of each table by enrollment.
LEARNER = ("enrollment__learner__external_id__exact",)
SEGMENT = (
    Column("segment", "segment__key", "the key of the segment"),
    Column("playbook", "segment__playbook__key", "the key of the segment's playbook"),
)


class StayFilter(DropdownFilter):
    """A filter for current or past members.

    Each choice has an index by segment: membership_current_of_segment for current members and
    membership_past_of_segment for past members. Both together would have no index.
    """

    title = "stay"
    parameter_name = "stay"
    all_option = None

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Return the choices."""
        return [("in", "In now"), ("left", "Left")]

    def value(self) -> str:
        """Return the choice. The default is the current members."""
        return "left" if super().value() == "left" else "in"

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Return the members that the choice selects."""
        return queryset.filter(left_at__isnull=self.value() == "in")


# The lookup that narrows the list to a course.
IN_COURSE = "enrollment__course__id__exact"


def by_enrollment_of(membership: models.Membership) -> dict[str, object]:
    """Narrow a list to the rows of the member's enrollment."""
    return {"enrollment__id__exact": membership.enrollment_id}


@admin.register(models.Membership)
class MembershipAdmin(ExportedList, ReadOnlyAdmin):
    """Current and past members of segments, with the signals at entry."""

    list_display = (
        "shown_member",
        "shown_place",
        "shown_entry",
        "shown_state",
        "shown_reason",
    )
    # The name leads to the learner, and the reason to the membership, which has more of it.
    list_display_links = ("shown_reason",)
    list_select_related = ("enrollment__learner", "enrollment__course", "segment__playbook")
    list_filter = (StayFilter, ("segment", RelatedFilter))
    search_fields = LEARNER
    search_help_text = WHOLE_ID
    fields = readonly_fields = (
        "shown_learner",
        "shown_course",
        "shown_segment",
        "shown_entry",
        "shown_state",
        "shown_rule",
        "shown_signals",
    )
    export = Export(
        (
            *ENROLLED,
            *SEGMENT,
            Column("entered_at", "entered_at", "when the learner entered the segment"),
            Column("left_at", "left_at", "when the learner left it; empty for a member"),
            Column("version", "version", "the version of the segment's rule at entry"),
        ),
        zone=COURSE_ZONE,
    )
    list_links = (
        ListLink("Entered and left", models.Transition, by_enrollment_of),
        ListLink("Events", Event, by_enrollment_of),
    )

    def page_links(self, row: Any) -> list[tuple[str, str]]:
        """Return the page of the learner."""
        return [about_learner(row.enrollment.learner_id, row.enrollment_id)]

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        """Allow also the links from pages about a segment in one course."""
        allowed: bool = super().lookup_allowed(lookup, value, request)
        return allowed or lookup == IN_COURSE

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Return the members with the related names that a page shows."""
        members: QuerySet[Any] = super().get_queryset(request)
        return members.select_related(*self.list_select_related)

    @display(description="Learner")
    def shown_member(self, membership: models.Membership) -> str:
        """Return the learner's name and course, as a link to the learner's page."""
        enrollment = membership.enrollment
        _, page = about_learner(enrollment.learner_id, enrollment.pk)
        return format_html('<a class="underline" href="{}">{}</a>', page, enrollment)

    @display(description="Segment", ordering="segment")
    def shown_place(self, membership: models.Membership) -> str:
        """Return the names of the segment and its playbook."""
        return f"{membership.segment.name} ({membership.segment.playbook})"

    @display(description="Learner")
    def shown_learner(self, membership: models.Membership) -> str:
        """Return the learner's name as a link to the learner's page."""
        return page_link(membership.enrollment.learner)

    @display(description="Course")
    def shown_course(self, membership: models.Membership) -> str:
        """Return the course as a link to the enrollment in it."""
        return page_link(membership.enrollment, words=str(membership.enrollment.course))

    @display(description="Segment")
    def shown_segment(self, membership: models.Membership) -> str:
        """Return the segment's name as a link to its page."""
        return page_link(membership.segment)

    @display(description="In since", ordering="entered_at")
    def shown_entry(self, membership: models.Membership) -> str:
        """Return when the enrollment entered the segment."""
        return _instant(membership.entered_at)

    @display(description="State")
    def shown_state(self, membership: models.Membership) -> str:
        """Return whether the enrollment is still a member."""
        return f"left {_instant(membership.left_at)}" if membership.left_at else "in"

    @display(description="Rule at entry")
    def shown_rule(self, membership: models.Membership) -> str:
        """Return the rule at the time of entry in English."""
        versions = models.SegmentVersion.objects.filter(segment=membership.segment_id)
        rule = versions.filter(version=membership.version).values_list("rule", flat=True).first()
        return in_english(rule)

    @display(description="Why")
    @once_a_row
    def shown_signals(self, membership: models.Membership) -> str:
        """Return each condition with its signal at entry and now, deciding conditions first."""
        return reasons_text(membership)

    @display(description="Because, at entry")
    def shown_reason(self, membership: models.Membership) -> str:
        """Return the rule's signals at entry in one line."""
        return "; ".join(_reasons(membership))


def _reasons(membership: models.Membership) -> list[str]:
    return in_words(membership.signals) or ["no signals were read"]


def _instant(at: datetime) -> str:
    return f"{at:%-d %b %Y, %H:%M %Z}"


@admin.register(models.Override)
class OverrideAdmin(BigTableAdmin):
    """Members added or removed manually."""

    form = OverrideForm
    list_display = ("enrollment", "segment", "kind", "created_at", "shown_state")
    list_select_related = ("enrollment__learner", "enrollment__course", "segment__playbook")
    list_filter = ("kind", ("segment", RelatedFilter))
    search_fields = LEARNER
    search_help_text = WHOLE_ID
    autocomplete_fields = ("segment", "enrollment")

    @display(description="State")
    def shown_state(self, override: models.Override) -> str:
        """Return whether an evaluation has applied the override."""
        return "applied" if override.applied_at else "waits for the next evaluation"

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return False: delete the override and add another one."""
        return False

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Add or remove the member through the operation."""
        act = operations.add_member if obj.kind == "added" else operations.remove_member
        stored = act(obj.segment_id, obj.enrollment_id, now=utc_now(), by=user_of(request))
        obj.pk = stored.pk

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        """Let the rule decide again."""
        operations.clear_override(obj.segment_id, obj.enrollment_id, now=utc_now())

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Model]) -> None:
        """Let the rule decide again for each override."""
        for override in queryset:
            self.delete_model(request, override)


@admin.register(models.Transition)
class TransitionAdmin(ExportedList, ReadOnlyAdmin):
    """Entries and leavings, with their cause and whether they may start messages."""

    list_display = (
        "enrollment",
        "kind",
        "segment",
        "cause",
        "starts",
        "occurred_at",
        "shown_state",
    )
    list_select_related = ("enrollment__learner", "enrollment__course", "segment__playbook")
    list_filter = ("kind", "cause", ("segment", RelatedFilter))
    search_fields = LEARNER
    search_help_text = WHOLE_ID
    export = Export(
        (
            *ENROLLED,
            *SEGMENT,
            Column("kind", "kind", "enter or leave"),
            Column("cause", "cause", "why: event, time, manual, edit and others of the glossary"),
            Column("starts", "starts", "true if it may start messages and draws"),
            Column("occurred_at", "occurred_at", "when the learner entered or left"),
            Column("processed_at", "processed_at", "when its messages and draws were decided"),
        ),
        zone=COURSE_ZONE,
    )

    @display(description="State")
    def shown_state(self, transition: models.Transition) -> str:
        """Return whether react has processed the transition, or its error."""
        if transition.processed_at:
            return "processed"
        return f"failed, will be tried again: {transition.error}" if transition.error else "waits"


@admin.register(models.ArchivedTransition)
class ArchivedTransitionAdmin(ReadOnlyAdmin):
    """Entries and leavings that were moved into the archive."""

    list_display = ("enrollment", "kind", "segment", "cause", "starts", "occurred_at")
    list_select_related = ("enrollment__learner", "enrollment__course", "segment__playbook")
    list_filter = ("kind", "cause", ("segment", RelatedFilter))
    search_fields = LEARNER
    search_help_text = WHOLE_ID


_LEFT: dict[str, object] = {"stay": "left"}
LearnerAdmin.add_links(
    ListLink("In segments", models.Membership, by_learner),
    ListLink("Left segments", models.Membership, lambda each: by_learner(each) | _LEFT),
    ListLink("Entered and left", models.Transition, by_learner),
)
EnrollmentAdmin.add_links(
    ListLink("In segments", models.Membership, by_enrollment),
    ListLink("Left segments", models.Membership, lambda each: by_enrollment(each) | _LEFT),
    ListLink("Entered and left", models.Transition, by_enrollment),
)
