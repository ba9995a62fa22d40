"""Admin pages of the delivery ledger and of the limits on sending."""

from collections.abc import Collection, Mapping
from copy import copy
from typing import Any

from django.conf import settings
from django.contrib import admin, messages
from django.contrib.admin.views.main import PAGE_VAR, SEARCH_VAR
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from unfold.decorators import display

from activity.access import for_user
from activity.admin import (
    COURSE_ZONE,
    ENROLLED,
    WHOLE_ID,
    BigTableAdmin,
    Button,
    ButtonsAdmin,
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
    viewer_of,
)
from activity.models import Enrollment, Learner
from activity.rights import may_send
from common.admin import ListLink
from common.clock import utc_now
from experiments.reporting.reasons import reason_text
from interventions import models, operations
from interventions.admin.answers import Answer, confirm_or_do
from interventions.admin.ledger_filters import (
    FoundByLearner,
    ReasonNowFilter,
    too_many,
)
from interventions.admin.what_if import TriedAdmin
from interventions.forms import FrequencyCapForm, QuietHoursForm
from interventions.queries.archive import complete_since
from interventions.queries.holds import with_reasons
from interventions.queries.limits import limits_with_cap, limits_with_quiet_hours
from interventions.queries.pauses import pauses_of
from interventions.queries.sent import has_sent_message
from interventions.sentences import message_sentences, trace_lines
from interventions.tracking.words import receipt_sentences
from segmentation.admin.members import MembershipAdmin, by_enrollment_of

Chosen = QuerySet[models.Delivery]
RETRY = Answer(
    action="retry",
    question="Try failed messages again?",
    consequence="Failed messages are planned again, with a new number of attempts. Consent, caps, "
    "quiet hours and pauses are checked again. Messages that are too old stay failed.",
    button="Try again",
    do=lambda delivery_id: operations.retry_failed(delivery_id, now=utc_now()),
    done="planned again and will go out within seconds",
)
ACCEPTED = Answer(
    action="resolve_as_accepted",
    question="Did the receiver accept these messages?",
    consequence="Messages in doubt are recorded as handed off, also in the learners' events and in "
    "the experiments. They are not sent again. Choose this too if nobody can find out: then no "
    "learner gets a message twice.",
    button="It was accepted",
    do=lambda delivery_id: operations.resolve_in_doubt(delivery_id, accepted=True, now=utc_now()),
    done="recorded as handed off",
)
NOT_ACCEPTED = Answer(
    action="resolve_as_not_accepted",
    question="Did these messages never reach the receiver?",
    consequence="Messages in doubt are recorded as failed, and frequency caps no longer count "
    "them. Confirm only if you know it, for example from the log of the mail server. If a message "
    "was accepted and you try it again, the learner gets it twice.",
    button="It was never accepted",
    do=lambda delivery_id: operations.resolve_in_doubt(delivery_id, accepted=False, now=utc_now()),
    done="recorded as failed and can be tried again",
)
# The answers to a message by its state.
ANSWERS = {
    models.DeliveryState.FAILED: (RETRY,),
    models.DeliveryState.IN_DOUBT: (ACCEPTED, NOT_ACCEPTED),
}
WITHOUT_REASONS = "without_reasons"
# The first columns of the lists of messages as files.
MESSAGE_COLUMNS = (
    *ENROLLED,
    Column("cadence", "step__cadence__key", "the key of the cadence"),
    Column("step", "step__position", "the position of the message in it, from 0"),
    Column("category", "category__key", "the key of the category"),
    Column("channel", "channel", "the channel, such as email"),
    Column("ghost", "ghost", "true for a message of a control, which is never sent"),
    Column("state", "state", "the state, such as handed_off or dropped"),
)
STATE_COLORS = {
    "planned": "info",
    "claimed": "info",
    "handed_off": "success",
    "delivered": "success",
    "ghost": "info",
    "in_doubt": "warning",
    "dropped": "warning",
    "expired": "warning",
    "failed": "danger",
    "bounced": "danger",
    "complained": "danger",
}


@admin.register(models.Delivery)
class DeliveryAdmin(FoundByLearner, ExportedList, ButtonsAdmin, ReadOnlyAdmin):
    """The ledger: all planned messages, and why each went out or did not."""

    list_display = (
        "learner",
        "step",
        "shown_state",
        "shown_reason",
        "planned_at",
        "send_at",
        "claimed_at",
    )
    list_select_related = ("learner", "step__cadence__segment__playbook", "enrollment__course")
    list_filter = (
        "state",
        ReasonNowFilter,
        ("enrollment__course", RelatedFilter),
        ("step__cadence", RelatedFilter),
        ("step", RelatedFilter),
        "category",
        "ghost",
    )
    list_before_template = "admin/interventions/deliveries.html"
    export = Export(
        (
            *MESSAGE_COLUMNS,
            Column("reason", "reason_now", "why it waits or was not sent, in words", reason_text),
            Column("planned_at", "planned_at", "when it was planned"),
            Column("send_at", "send_at", "the instant before which it is not sent"),
            Column("claimed_at", "claimed_at", "when it was taken for sending; or empty"),
            Column("finished_at", "finished_at", "when its last state was reached; or empty"),
        ),
        zone=COURSE_ZONE,
    )
    exclude = ("trace", "token", "reason")
    readonly_fields = ("shown_message", "shown_receipt", "shown_trace", "shown_pauses")
    actions = ("retry", "resolve_as_accepted", "resolve_as_not_accepted")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Return the messages, each with the reason that holds now."""
        rows: QuerySet[Any] = super().get_queryset(request)
        return rows if hasattr(request, WITHOUT_REASONS) else with_reasons(rows, now=utc_now())

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show the list, and say so if the search left learners out, or if older ones are kept."""
        said = {
            "too_many": too_many(request.GET.get(SEARCH_VAR, "").strip(), request),
            "ledger_days": settings.LEDGER_DAYS,
            "complete_since": complete_since(),
        }
        return super().changelist_view(request, {**(extra_context or {}), **said})

    def filtered_rows(self, request: HttpRequest, *, without: Collection[str]) -> QuerySet[Any]:
        """Return the rows of the list with the filters of the request, but for some parameters.

        The reason that holds now is left out, because it joins five tables.
        """
        asked: Any = copy(request)
        setattr(asked, WITHOUT_REASONS, True)
        asked.GET = request.GET.copy()
        for name in (*without, PAGE_VAR):
            asked.GET.pop(name, None)
        rows: QuerySet[Any] = self.get_changelist_instance(asked).queryset
        return rows

    def get_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        """Return what became of the message first."""
        others = super().get_fields(request, obj)
        told = self.readonly_fields
        return [*told, *(name for name in others if name not in told)]

    def page_links(self, row: Any) -> list[tuple[str, str]]:
        """Return the page of the learner, which says why in words, and the message as sent."""
        links = [about_learner(row.learner_id, row.enrollment_id)]
        if has_sent_message(row.pk):
            address = reverse("interventions:sent_message", args=(row.pk,))
            links.append(("Read it as it was sent", address))
        return links

    def buttons(self, request: HttpRequest, row: Any) -> list[Button]:
        """Return the answers to a failed message or to one in doubt. Each asks first."""
        answers = ANSWERS.get(row.state, ()) if self.has_answer_permission(request) else ()
        return [Button(each.action, f"{each.button}…", each.consequence) for each in answers]

    def has_answer_permission(self, request: HttpRequest) -> bool:
        """Return whether the user may decide on messages, which can let messages out."""
        return may_send(request.user)

    @admin.action(description="Try failed messages again", permissions=["answer"])
    def retry(self, request: HttpRequest, queryset: Chosen) -> TemplateResponse | None:
        """Ask, then plan the chosen failed messages again."""
        return confirm_or_do(self, request, queryset, RETRY)

    @admin.action(description="In doubt: it was accepted", permissions=["answer"])
    def resolve_as_accepted(
        self, request: HttpRequest, queryset: Chosen
    ) -> TemplateResponse | None:
        """Ask, then record the chosen messages in doubt as handed off."""
        return confirm_or_do(self, request, queryset, ACCEPTED)

    @admin.action(description="In doubt: it was never accepted", permissions=["answer"])
    def resolve_as_not_accepted(
        self, request: HttpRequest, queryset: Chosen
    ) -> TemplateResponse | None:
        """Ask, then record the chosen messages in doubt as failed."""
        return confirm_or_do(self, request, queryset, NOT_ACCEPTED)

    @display(description="State", label=STATE_COLORS)
    def shown_state(self, delivery: models.Delivery) -> tuple[str, str]:
        """Return the state with its colour."""
        return delivery.state, delivery.get_state_display()

    @display(description="Reason")
    def shown_reason(self, delivery: models.Delivery) -> str:
        """Return the reason in words. For a held message it is the current hold."""
        reason: str = delivery.reason_now  # type: ignore[attr-defined]
        return reason_text(reason) if reason else ""

    @display(description="Message")
    def shown_message(self, delivery: models.Delivery) -> str:
        """Return what became of it, or when it will go out, and what would change that."""
        now = delivery.enrollment.course.clock_stopped_at or utc_now()
        return " ".join(message_sentences(delivery, viewer=viewer_of(delivery), now=now))

    @display(description="After the hand-off")
    def shown_receipt(self, delivery: models.Delivery) -> str:
        """Return what the provider and links reported about it."""
        receipt = for_user(models.Receipt.objects.filter(delivery=delivery), viewer_of(delivery))
        zone = delivery.enrollment.course.time_zone
        found: Mapping[str, Any] = receipt.values().first() or {}
        return " ".join(receipt_sentences(found, zone=zone)) or "nothing was reported"

    @display(description="Decisions so far")
    def shown_trace(self, delivery: models.Delivery) -> SafeString | str:
        """Return the decisions, one per line, as the page of the learner has them."""
        lines = trace_lines(delivery, zone=delivery.enrollment.course.time_zone)
        rows = ((line,) for line in lines)
        return format_html_join("", "<div>{}</div>", rows) or "none"

    @display(description="Pauses that held it")
    def shown_pauses(self, delivery: models.Delivery) -> SafeString | str:
        """Return by whom, since when and why it was held, one pause per line."""
        rows = ((pause.sentence,) for pause in pauses_of(delivery))
        return format_html_join("", "<div>{}</div>", rows) or "none"


@admin.register(models.FrequencyCap)
class FrequencyCapAdmin(TriedAdmin):
    """Frequency caps. A cap that is no longer wanted is made inactive, not deleted."""

    form = FrequencyCapForm
    limits_with = staticmethod(limits_with_cap)
    list_display = ("name", "shown_cap", "active")
    list_select_related = ("category", "course", "arm__experiment")
    list_filter = ("active", "scope", "window", "on_exceed")
    autocomplete_fields = ("category", "course")

    def save_model(
        self, request: HttpRequest, obj: models.FrequencyCap, form: Any, change: bool
    ) -> None:
        """Save the cap, and warn of a running experiment that compares nothing any more."""
        super().save_model(request, obj, form, change)
        for sentence in operations.caps_without_effect(viewer=request.user):
            messages.warning(request, sentence)

    @display(description="Meaning")
    def shown_cap(self, cap: models.FrequencyCap) -> str:
        """Return the cap as a sentence."""
        return cap.sentence


@admin.register(models.QuietHours)
class QuietHoursAdmin(TriedAdmin):
    """Quiet hours of the site and of courses."""

    form = QuietHoursForm
    limits_with = staticmethod(limits_with_quiet_hours)
    list_display = ("__str__", "shown_hours", "shown_course")
    list_select_related = ("course",)
    autocomplete_fields = ("course",)

    @display(description="Meaning")
    def shown_hours(self, quiet: models.QuietHours) -> str:
        """Return the hours as a sentence."""
        return quiet.sentence

    @display(description="For")
    def shown_course(self, quiet: models.QuietHours) -> str:
        """Return the course, or that the row applies to all other courses."""
        return str(quiet.course or "every course without its own quiet hours")

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return whether the user may delete quiet hours. No other row depends on them."""
        return bool(request.user.has_perm("interventions.delete_quiethours"))


@admin.register(models.Consent)
class ConsentAdmin(ReadOnlyAdmin):
    """The statements of learners on what they want and do not want."""

    list_display = ("learner", "category", "state", "changed_at", "source")
    list_select_related = ("learner", "category")
    list_filter = ("state", "category")
    search_fields = ("learner__external_id__exact",)
    search_help_text = WHOLE_ID


@admin.register(models.Suppression)
class SuppressionAdmin(BigTableAdmin):
    """Addresses that never get mail."""

    list_display = ("address", "reason", "created_at")
    search_fields = ("address__exact",)
    search_help_text = "Enter the whole address"


def _by_enrollments(learner: Learner) -> dict[str, object]:
    # The ledger has an index by enrollment but none by learner. A learner is in few courses.
    ids = Enrollment.objects.filter(learner=learner).values_list("pk", flat=True)[:100]
    return {"enrollment__in": ",".join(map(str, ids)) or "0"}


LearnerAdmin.add_links(
    ListLink("Messages", models.Delivery, _by_enrollments),
    ListLink("Consent", models.Consent, by_learner),
)
EnrollmentAdmin.add_links(ListLink("Messages", models.Delivery, by_enrollment))
MembershipAdmin.add_links(ListLink("Messages", models.Delivery, by_enrollment_of))
