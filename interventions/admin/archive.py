"""The archive of old messages: the same record as the ledger, only to read."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.template.defaultfilters import linebreaksbr
from django.urls import reverse
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import DropdownFilter
from unfold.decorators import display

from activity.admin import (
    COURSE_ZONE,
    WHOLE_ID,
    Column,
    Export,
    ExportedList,
    ReadOnlyAdmin,
    RelatedFilter,
    about_learner,
)
from common.archive import Month
from experiments.reporting.reasons import reason_text
from interventions import models
from interventions.admin.ledger import MESSAGE_COLUMNS, STATE_COLORS
from interventions.admin.ledger_filters import FoundByLearner
from interventions.queries.archive import archived_months
from interventions.render.masked_links import masked_text
from interventions.sentences import ended_sentence, trace_lines
from interventions.tracking.words import receipt_sentences

_RECEIPT = (
    "delivered_at",
    "soft_bounced_at",
    "hard_bounced_at",
    "rejected_at",
    "complained_at",
    "unsubscribed_at",
    "opened_at",
    "clicked_at",
    "machine_opened_at",
    "machine_clicked_at",
)
GONE = "no longer kept"


class MonthFilter(DropdownFilter):
    """A filter by the month in which messages ended. The database then reads only that month."""

    title = "month"
    parameter_name = "month"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Return the months of the archive, the newest first."""
        return [(str(month), f"{month.begins_at:%B %Y}") for month in archived_months()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Return the messages of the chosen month."""
        value = self.value()
        chosen = next((month for month in archived_months() if str(month) == value), None)
        if not value:
            return queryset
        return queryset.none() if chosen is None else queryset.filter(**_within(chosen))


def _within(month: Month) -> dict[str, Any]:
    return {"finished_at__gte": month.begins_at, "finished_at__lt": month.plus(1).begins_at}


@admin.register(models.ArchivedDelivery)
class ArchivedDeliveryAdmin(FoundByLearner, ExportedList, ReadOnlyAdmin):
    """Messages that ended long ago, and why each went out or did not."""

    list_display = ("learner", "step", "shown_state", "shown_reason", "planned_at", "finished_at")
    list_select_related = ("learner", "step__cadence__segment__playbook", "enrollment__course")
    list_filter = (
        ("enrollment__course", RelatedFilter),
        MonthFilter,
        "state",
        ("step__cadence", RelatedFilter),
        "ghost",
    )
    export = Export(
        (
            *MESSAGE_COLUMNS,
            Column("reason", "reason", "why it was not sent, in words", reason_text),
            Column("planned_at", "planned_at", "when it was planned"),
            Column("claimed_at", "claimed_at", "when it was taken for sending; or empty"),
            Column("finished_at", "finished_at", "when its last state was reached"),
        ),
        zone=COURSE_ZONE,
    )
    exclude = ("run", "reason", "attempts", "doubted", *_RECEIPT)
    readonly_fields = ("shown_message", "shown_receipt", "shown_trace", "shown_text", "shown_task")

    def get_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        """Return what became of the message first."""
        others = super().get_fields(request, obj)
        told = self.readonly_fields
        return [*told, *(name for name in others if name not in told)]

    def page_links(self, row: Any) -> list[tuple[str, str]]:
        """Return the page of the learner, and the message as it was sent."""
        links = [about_learner(row.learner_id, row.enrollment_id)]
        if row.kept_trace is not None and row.kept_trace.sent:
            address = reverse("interventions:sent_message", args=(row.pk,))
            links.append(("Read it as it was sent", address))
        return links

    @display(description="State", label=STATE_COLORS)
    def shown_state(self, row: models.ArchivedDelivery) -> tuple[str, str]:
        """Return the state with its colour."""
        return row.state, row.get_state_display()

    @display(description="Reason")
    def shown_reason(self, row: models.ArchivedDelivery) -> str:
        """Return the reason in words."""
        return reason_text(row.reason) if row.reason else ""

    @display(description="Message")
    def shown_message(self, row: models.ArchivedDelivery) -> str:
        """Return what became of it."""
        return ended_sentence(row.as_delivery(), zone=row.enrollment.course.time_zone)

    @display(description="After the hand-off")
    def shown_receipt(self, row: models.ArchivedDelivery) -> str:
        """Return what the provider and links reported about it."""
        found = {name: getattr(row, name) for name in _RECEIPT}
        said = receipt_sentences(found, zone=row.enrollment.course.time_zone)
        return " ".join(said) or "nothing was reported"

    @display(description="Decisions")
    def shown_trace(self, row: models.ArchivedDelivery) -> SafeString | str:
        """Return the decisions, one per line, as the page of the learner has them."""
        if row.kept_trace is None:
            return GONE
        lines = trace_lines(row.as_delivery(), zone=row.enrollment.course.time_zone)
        return format_html_join("", "<div>{}</div>", ((line,) for line in lines)) or "none"

    @display(description="Text")
    def shown_text(self, row: models.ArchivedDelivery) -> str:
        """Return the text part with its lines, and the keys of links hidden."""
        if row.kept_trace is None:
            return GONE
        return linebreaksbr(masked_text((row.kept_trace.sent or {}).get("text", ""))) or "none"

    @display(description="Task for an instructor")
    def shown_task(self, row: models.ArchivedDelivery) -> str:
        """Return the task and what the instructor noted."""
        task = (row.kept_trace.task if row.kept_trace else None) or {}
        return ": ".join(part for part in (task.get("title"), task.get("note")) if part) or "none"


@admin.register(models.ArchivedTrace)
class ArchivedTraceAdmin(ReadOnlyAdmin):
    """What was decided and sent. The page of its message says it, without learners' links."""

    list_display = ("delivery", "finished_at")
    list_select_related = (
        "delivery__step__cadence__segment__playbook",
        "delivery__learner",
        "enrollment__course",
    )
    exclude = ("trace", "sent", "reports", "task", "in_app")
    search_fields = ("enrollment__learner__external_id__exact",)
    search_help_text = WHOLE_ID
