"""Admin pages of playbooks, segments, members and transitions."""

from typing import Any, cast

from django.contrib import admin, messages
from django.contrib.auth.models import User
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from unfold.admin import TabularInline
from unfold.contrib.filters.admin import AutocompleteSelectFilter
from unfold.decorators import display

from common.admin import BigTableAdmin, KeptAdmin, ReadOnlyAdmin
from common.clock import utc_now
from segmentation import models, operations, queries
from segmentation.forms import OverrideForm, PlaybookForm, SegmentForm
from segmentation.rules import RuleError, explain, parse

WHOLE_ID = "The whole external id of a learner"
# Above it a size is only said to be above: the page must not count a million rows.
SIZE_LIMIT = 100_000
LEARNER = ("enrollment__learner__external_id__exact",)
STATUS_COLORS = {"draft": "info", "active": "success", "frozen": "danger", "archived": "warning"}


def in_english(rule: object) -> str:
    """Return the rule as a sentence, or what is wrong with it."""
    if rule is None:
        return "no rule"
    try:
        return explain(parse(rule))
    except RuleError as error:
        return f"This rule cannot be read: {error}"


def _user(request: HttpRequest) -> User:
    # The admin lets nobody in who is not logged in; the type does not know it.
    return cast("User", request.user)


class SegmentInline(TabularInline):
    """The segments of a playbook, to look at; each is edited on its own page."""

    model = models.Segment
    fields = readonly_fields = ("name", "shown_rule", "priority", "status")
    show_change_link = True
    extra = 0
    can_delete = False

    @display(description="Who is in")
    def shown_rule(self, segment: models.Segment) -> str:
        """Return the rule in English."""
        return in_english(segment.rule)

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return False: a segment is added on its own page."""
        return False


@admin.register(models.Playbook)
class PlaybookAdmin(KeptAdmin):
    """Playbooks: which segments are kept for which courses."""

    form = PlaybookForm
    list_display = ("name", "mode", "key")
    search_fields = ("key", "name")
    fields = ("name", "key", "mode", "kept_for")
    inlines = (SegmentInline,)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Save the playbook; its mode and courses go through the operations that re-evaluate."""
        mode = obj.mode
        if change:
            obj.mode = models.Playbook.objects.values_list("mode", flat=True).get(pk=obj.pk)
        obj.save()
        operations.set_mode(obj.pk, mode)
        self._save_courses(obj.pk, {course.pk for course in form.cleaned_data["kept_for"]})

    @staticmethod
    def _save_courses(playbook_id: int, wanted: set[int]) -> None:
        links = models.PlaybookCourse.objects.filter(playbook_id=playbook_id)
        for course_id in links.exclude(course_id__in=wanted).values_list("course_id", flat=True):
            operations.remove_course(playbook_id, course_id, now=utc_now())
        operations.add_courses(playbook_id, wanted)


@admin.register(models.Segment)
class SegmentAdmin(KeptAdmin):
    """Segments, their rule in English and how many are in."""

    form = SegmentForm
    list_display = ("name", "shown_rule", "shown_size", "shown_status", "playbook", "priority")
    list_select_related = ("playbook",)
    list_filter = ("status", ("playbook", AutocompleteSelectFilter))
    search_fields = ("key", "name")
    autocomplete_fields = ("playbook",)
    readonly_fields = ("shown_rule", "shown_leave_rule", "shown_size", "status", "version", "error")
    fieldsets = (
        (None, {"fields": ("name", "key", "description", "playbook", "priority")}),
        ("Who is in", {"fields": ("shown_rule", "shown_leave_rule", "shown_size")}),
        ("Rule", {"fields": ("rule", "leave_rule", "include_present")}),
        ("State", {"fields": ("status", "version", "error")}),
    )
    actions = ("activate", "activate_with_present", "archive", "thaw")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """Keep a saved segment in its playbook."""
        return (*self.readonly_fields, "playbook") if obj else self.readonly_fields

    @display(description="Rule")
    def shown_rule(self, segment: models.Segment) -> str:
        """Return the rule in English."""
        return in_english(segment.rule) if segment.pk else "Save to see the rule in English."

    @display(description="Members leave when")
    def shown_leave_rule(self, segment: models.Segment) -> str:
        """Return the leave rule in English."""
        if segment.leave_rule is None:
            return "the rule is no longer true"
        return in_english(segment.leave_rule)

    @display(description="Members")
    def shown_size(self, segment: models.Segment) -> str:
        """Return how many are in now; above the limit only that it is above."""
        if not segment.pk:
            return "0"
        size = queries.segment_size(segment.pk, up_to=SIZE_LIMIT)
        shown = f"{size:,}" if size <= SIZE_LIMIT else f"more than {SIZE_LIMIT:,}"
        stopped_at = queries.clock_of_playbook(segment.playbook_id)
        return f"{shown}, as of {stopped_at:%-d %b %Y, %H:%M} UTC" if stopped_at else shown

    @display(description="Status", label=STATUS_COLORS)
    def shown_status(self, segment: models.Segment) -> tuple[str, str]:
        """Return the status with its colour."""
        return segment.status, segment.get_status_display()

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Save a new segment as a draft, an edit through the operation that makes a version."""
        fields = operations.SegmentFields.of(obj)
        if change:
            present = form.cleaned_data["include_present"]
            stored = operations.edit_segment(
                obj.pk, fields, now=utc_now(), include_present=present, by=_user(request)
            )
        else:
            stored = operations.create_segment(
                obj.playbook_id, fields, now=utc_now(), by=_user(request)
            )
        obj.pk = stored.pk

    def _activate(
        self, request: HttpRequest, queryset: QuerySet[models.Segment], *, present: bool
    ) -> None:
        for segment in queryset:
            operations.activate_segment(segment.pk, now=utc_now(), include_present=present)
        messages.success(request, "Activated. Members appear within seconds.")

    @admin.action(description="Activate: keep it true from now on", permissions=["change"])
    def activate(self, request: HttpRequest, queryset: QuerySet[models.Segment]) -> None:
        """Activate the chosen segments; nobody is messaged for being in already."""
        self._activate(request, queryset, present=False)

    @admin.action(
        description="Activate, and message or draw also those already in", permissions=["change"]
    )
    def activate_with_present(
        self, request: HttpRequest, queryset: QuerySet[models.Segment]
    ) -> None:
        """Activate the chosen segments; those who are in already start cadences and are drawn."""
        self._activate(request, queryset, present=True)

    @admin.action(description="Archive: stop keeping it", permissions=["change"])
    def archive(self, request: HttpRequest, queryset: QuerySet[models.Segment]) -> None:
        """Archive the chosen segments."""
        for segment in queryset:
            operations.archive_segment(segment.pk, now=utc_now())
        messages.success(request, "Archived.")

    @admin.action(description="Thaw: evaluate a frozen segment again", permissions=["change"])
    def thaw(self, request: HttpRequest, queryset: QuerySet[models.Segment]) -> None:
        """Thaw the chosen segments."""
        for segment in queryset.filter(status=models.SegmentStatus.FROZEN):
            operations.thaw_segment(segment.pk, now=utc_now())
        messages.success(request, "Thawed. If the rule fails again, the segment freezes again.")


@admin.register(models.SegmentVersion)
class SegmentVersionAdmin(ReadOnlyAdmin):
    """What each segment's rules were."""

    list_display = ("segment", "version", "shown_rule", "created_at", "created_by")
    list_select_related = ("segment", "created_by")

    @display(description="Rule")
    def shown_rule(self, version: models.SegmentVersion) -> str:
        """Return the rule in English."""
        return in_english(version.rule)


@admin.register(models.Membership)
class MembershipAdmin(ReadOnlyAdmin):
    """Who is or was in which segment, and what the signals were at entry."""

    list_display = ("enrollment", "segment", "entered_at", "shown_state", "signals")
    list_select_related = ("enrollment__learner", "enrollment__course", "segment")
    list_filter = (("segment", AutocompleteSelectFilter),)
    search_fields = LEARNER
    search_help_text = WHOLE_ID

    @display(description="State")
    def shown_state(self, membership: models.Membership) -> str:
        """Return whether the enrollment is still in."""
        return f"left {membership.left_at:%Y-%m-%d %H:%M}" if membership.left_at else "in"


@admin.register(models.Override)
class OverrideAdmin(BigTableAdmin):
    """Members added or removed by hand."""

    form = OverrideForm
    list_display = ("enrollment", "segment", "kind", "created_at", "shown_state")
    list_select_related = ("enrollment__learner", "enrollment__course", "segment")
    list_filter = ("kind", ("segment", AutocompleteSelectFilter))
    search_fields = LEARNER
    search_help_text = WHOLE_ID
    autocomplete_fields = ("segment", "enrollment")

    @display(description="State")
    def shown_state(self, override: models.Override) -> str:
        """Return whether the evaluation has taken it up."""
        return "applied" if override.applied_at else "waits for the next evaluation"

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return False: delete it and add another."""
        return False

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Add or remove the member through the operation."""
        act = operations.add_member if obj.kind == "added" else operations.remove_member
        stored = act(obj.segment_id, obj.enrollment_id, now=utc_now(), by=_user(request))
        obj.pk = stored.pk

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        """Let the rule decide again."""
        operations.clear_override(obj.segment_id, obj.enrollment_id, now=utc_now())

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Model]) -> None:
        """Let the rule decide again for each."""
        for override in queryset:
            self.delete_model(request, override)


@admin.register(models.Transition)
class TransitionAdmin(ReadOnlyAdmin):
    """Entries and leavings, why, and whether they could start anything."""

    list_display = (
        "enrollment",
        "kind",
        "segment",
        "cause",
        "starts",
        "occurred_at",
        "shown_state",
    )
    list_select_related = ("enrollment__learner", "enrollment__course", "segment")
    list_filter = ("kind", "cause", ("segment", AutocompleteSelectFilter))
    search_fields = LEARNER
    search_help_text = WHOLE_ID

    @display(description="State")
    def shown_state(self, transition: models.Transition) -> str:
        """Return whether it was reacted to, or what went wrong."""
        if transition.processed_at:
            return "processed"
        return f"failed, will be tried again: {transition.error}" if transition.error else "waits"


@admin.register(models.Norms)
class NormsAdmin(ReadOnlyAdmin):
    """Each course's norms by day."""

    list_display = ("course", "day", "computed_at")
    list_select_related = ("course",)
    list_filter = (("course", AutocompleteSelectFilter),)


@admin.register(models.RulesRevision)
class RulesRevisionAdmin(ReadOnlyAdmin):
    """The number of the last change of any rule."""

    list_display = ("number",)


@admin.register(models.PlaybookCourse)
class PlaybookCourseAdmin(ReadOnlyAdmin):
    """Which playbook is kept for which course; set on the playbook's page."""

    list_display = ("playbook", "course")
    list_select_related = ("playbook", "course")
