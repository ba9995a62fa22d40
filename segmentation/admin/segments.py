"""Admin pages of segments and of their versions."""

from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.html import format_html
from unfold.decorators import action, display

from activity.admin import (
    Button,
    ButtonsAdmin,
    KeptAdmin,
    ReadOnlyAdmin,
    RelatedFilter,
    SendingAdmin,
    viewer_of,
)
from activity.rights import may_send
from common.admin import ListLink, list_url, once_a_row
from common.clock import utc_now
from common.dates import instant_text
from segmentation import models, operations, queries
from segmentation.admin.activation import ask_about_present, is_confirmed
from segmentation.admin.buttons import segment_buttons
from segmentation.admin.preview import (
    LARGEST_COURSE,
    LONGEST_SECONDS,
    PreviewForm,
    checks_text,
    preview_text,
    shown_checks,
)
from segmentation.admin.surges import NOBODY, shown_waiting, surges_page
from segmentation.admin.words import user_of
from segmentation.forms import SegmentForm
from segmentation.rules import in_english

# Larger sizes are shown as "more than": the page must not count a million rows.
SIZE_LIMIT = 100_000
NOT_KEPT = {
    "draft": "no members yet: the segment is a draft",
    "archived": "no members any more: the segment is archived",
}
STATUS_COLORS = {"draft": "info", "active": "success", "frozen": "danger", "archived": "warning"}


def by_segment(segment: models.Segment) -> dict[str, object]:
    """Narrow a list to the rows of a segment."""
    return {"segment__id__exact": segment.pk}


def _left_segment(segment: models.Segment) -> dict[str, object]:
    return by_segment(segment) | {"stay": "left"}


@admin.register(models.Segment)
class SegmentAdmin(ButtonsAdmin, SendingAdmin, KeptAdmin):
    """Segments with their rule in English and their number of members."""

    form = SegmentForm
    list_display = ("name", "shown_rule", "shown_size", "shown_status", "playbook", "priority")
    list_select_related = ("playbook",)
    list_filter = ("status", ("playbook", RelatedFilter))
    search_fields = ("key", "name")
    autocomplete_fields = ("playbook",)
    readonly_fields = (
        "shown_rule",
        "shown_leave_rule",
        "shown_size",
        "shown_waiting",
        "shown_checks",
        "status",
        "version",
        "error",
    )
    fieldsets = (
        (None, {"fields": ("name", "description", "playbook")}),
        (
            "Members",
            {
                "fields": (
                    "shown_rule",
                    "shown_leave_rule",
                    "shown_size",
                    "shown_waiting",
                    "shown_checks",
                )
            },
        ),
        (
            "The rule as JSON",
            {"classes": ("collapse",), "fields": ("rule", "leave_rule", "include_present")},
        ),
        (
            "Key, priority and state",
            {
                "classes": ("collapse",),
                "fields": ("key", "priority", "status", "version", "error"),
            },
        ),
    )
    list_links = (
        ListLink("Members now", models.Membership, by_segment),
        ListLink("Members who left", models.Membership, _left_segment),
        ListLink("Entered and left", models.Transition, by_segment),
    )
    actions_list = ("new_rule",)
    actions_detail = ("edit_rule", "preview", "surges")
    actions = ("activate", "activate_with_present", "archive", "thaw")

    def get_queryset(self, request: HttpRequest) -> QuerySet[models.Segment]:
        """Return the segments with their playbooks, because their names include the playbook."""
        segments: QuerySet[models.Segment] = super().get_queryset(request)
        return segments.select_related("playbook")

    def get_prepopulated_fields(self, request: HttpRequest, obj: Any = None) -> dict[str, Any]:
        """Make the key of a new row from its name while one types."""
        return {} if obj else {"key": ("name",)}

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """Make the playbook of a saved segment read-only, and "also those already in" for some.

        Only users who may let messages out can tick "also those already in".
        """
        fixed = ("playbook",) if obj else ()
        unsent = () if may_send(request.user) else ("include_present",)
        return (*self.readonly_fields, *fixed, *unsent)

    def buttons(self, request: HttpRequest, row: models.Segment) -> list[Button]:
        """Return what the user may do with the segment now."""
        may_change, may_let_out = (
            self.has_change_permission(request),
            self.has_send_permission(request),
        )
        return segment_buttons(row, may_change=may_change, may_let_out=may_let_out)

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
        """Return the number of members as a link to them, or why the segment has no members."""
        if not segment.pk or segment.status in NOT_KEPT:
            return NOT_KEPT.get(segment.status, NOT_KEPT["draft"])
        return format_html(
            '<a class="underline" href="{}">{}</a>',
            list_url(models.Membership, by_segment(segment)),
            self._size(segment),
        )

    @staticmethod
    def _size(segment: models.Segment) -> str:
        # Above the limit, only "more than" is shown.
        size = queries.segment_size(segment.pk, up_to=SIZE_LIMIT, viewer=viewer_of(segment))
        shown = f"{size:,}" if size <= SIZE_LIMIT else f"more than {SIZE_LIMIT:,}"
        stopped_at = queries.clock_of_playbook(segment.playbook_id)
        zone = segment.playbook.shown_zone
        return f"{shown}, as of {instant_text(stopped_at, zone=zone)}" if stopped_at else shown

    @display(description="Waits for you")
    @once_a_row
    def shown_waiting(self, segment: models.Segment) -> str:
        """Return the surges of the segment that wait for a decision of staff."""
        return shown_waiting(segment) if segment.pk else NOBODY

    @display(description="Warnings")
    @once_a_row
    def shown_checks(self, segment: models.Segment) -> str:
        """Return warnings: the rule matches nobody, nearly everybody, or the wrong learners."""
        return shown_checks(segment) if segment.pk else "Save to check the rule."

    @display(description="Status", label=STATUS_COLORS)
    def shown_status(self, segment: models.Segment) -> tuple[str, str]:
        """Return the status with its colour."""
        return segment.status, segment.get_status_display()

    @action(description="New segment by conditions", url_path="by-conditions", permissions=["add"])
    def new_rule(self, request: HttpRequest) -> HttpResponse:
        """Lead to the builder of a new rule."""
        return redirect("segmentation:new-rule")

    @action(description="Edit the rule", url_path="rule", permissions=["view"], icon="rule")
    def edit_rule(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Lead to the builder of the segment's rule."""
        segment = self._found(request, object_id)
        return redirect("segmentation:rule", segment.pk)

    @action(description="Preview", url_path="preview", permissions=["view"], icon="visibility")
    def preview(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Show how many enrollments of a course the saved rule matches now. Change nothing."""
        segment = self._found(request, object_id)
        form = PreviewForm(segment, request.GET, viewer=request.user)
        answer, warnings = "", ""
        if form.is_valid():
            course = form.cleaned_data["course"]
            answer = preview_text(segment, course)
            warnings = checks_text(segment, course, largest=LARGEST_COURSE, seconds=LONGEST_SECONDS)
        shown = {
            "title": f"Preview of {segment}",
            "segment": segment,
            "segment_url": reverse("admin:segmentation_segment_change", args=(segment.pk,)),
            "form": form,
            "rule": in_english(segment.rule),
            "answer": answer,
            "warnings": warnings,
        }
        context = self.admin_site.each_context(request) | shown
        return TemplateResponse(request, "segmentation/preview.html", context)

    @action(
        description="Waiting entries",
        url_path="surges",
        permissions=["change"],
        icon="hourglass_empty",
    )
    def surges(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Show the surges of the segment. On POST, carry out the decision about one of them."""
        segment = self._found(request, object_id)
        return surges_page(request, segment, self.admin_site.each_context(request))

    def _found(self, request: HttpRequest, object_id: str) -> models.Segment:
        segment: models.Segment | None = self.get_object(request, unquote(object_id))
        if segment is None:
            raise Http404
        return segment

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Save a new segment as a draft, or an edit by the operation that makes a new version."""
        fields = operations.SegmentFields.of(obj)
        if change:
            present = form.cleaned_data.get("include_present", False)
            stored = operations.edit_segment(
                obj.pk, fields, now=utc_now(), include_present=present, by=user_of(request)
            )
        else:
            stored = operations.create_segment(
                obj.playbook_id, fields, now=utc_now(), by=user_of(request)
            )
        obj.pk = stored.pk

    def _activate(
        self, request: HttpRequest, queryset: QuerySet[models.Segment], *, present: bool
    ) -> None:
        for segment in queryset:
            operations.activate_segment(segment.pk, now=utc_now(), include_present=present)
        messages.success(request, "Activated. Members appear within seconds.")

    @admin.action(description="Activate: evaluate it from now on", permissions=["change"])
    def activate(self, request: HttpRequest, queryset: QuerySet[models.Segment]) -> None:
        """Activate the chosen segments. Learners already in them are not messaged."""
        self._activate(request, queryset, present=False)

    @admin.action(
        description="Activate, and message or draw also those already in", permissions=["send"]
    )
    def activate_with_present(
        self, request: HttpRequest, queryset: QuerySet[models.Segment]
    ) -> TemplateResponse | None:
        """Activate the chosen segments. Learners already in them start cadences and are drawn."""
        if not is_confirmed(request):
            return ask_about_present(self, request, queryset, "activate_with_present")
        self._activate(request, queryset, present=True)
        return None

    @admin.action(description="Archive: stop evaluating it", permissions=["change"])
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
    """The rules of each segment by version."""

    list_display = ("segment", "version", "shown_rule", "created_at", "created_by")
    list_select_related = ("segment__playbook", "created_by")

    @display(description="Rule")
    def shown_rule(self, version: models.SegmentVersion) -> str:
        """Return the rule in English."""
        return in_english(version.rule)
