"""Admin pages of arms, draws and delivery outcomes: records that staff only read."""

from operator import itemgetter
from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.contrib.filters.admin import DropdownFilter
from unfold.decorators import display

from activity.admin import (
    WHOLE_ID,
    EnrollmentAdmin,
    LearnerAdmin,
    ReadOnlyAdmin,
    RelatedFilter,
    by_enrollment,
    by_learner,
)
from common.admin import ListLink
from common.clock import utc_now
from experiments import models
from experiments.operations import name_winner
from experiments.protocol import ProtocolError
from experiments.reporting.reasons import REASONS, reason_text


@admin.register(models.Arm)
class ArmAdmin(ReadOnlyAdmin):
    """Arms of all experiments, read-only. Arms are edited on the page of their experiment."""

    list_display = ("shown_name", "experiment", "weight", "is_control")
    list_select_related = ("experiment",)
    list_filter = (("experiment", RelatedFilter),)
    search_fields = ("key", "name", "experiment__key")

    actions = ("give_to_control",)

    @display(description="Arm")
    def shown_name(self, arm: models.Arm) -> str:
        """Return the name, or the key where there is none."""
        return arm.own_name

    def has_name_permission(self, request: HttpRequest) -> bool:
        """Return whether the user may name the winner of an experiment."""
        return bool(request.user.has_perm("experiments.change_experiment"))

    @admin.action(description="Give this arm to the control", permissions=["name"])
    def give_to_control(self, request: HttpRequest, queryset: QuerySet[models.Arm]) -> None:
        """Name the chosen arms as the winners of their stopped experiments."""
        for arm in queryset.select_related("experiment"):
            try:
                name_winner(arm.experiment_id, arm.key, now=utc_now())
            except ProtocolError as error:
                messages.warning(request, f"{arm}: {error}")
            else:
                text = f"The control of {arm.experiment} gets {arm.own_name} from now on."
                messages.success(request, text)


@admin.register(models.Assignment)
class AssignmentAdmin(ReadOnlyAdmin):
    """The arm of each enrollment, with the bucket and the instant of the draw."""

    list_display = ("enrollment", "experiment", "arm", "bucket", "stratum", "assigned_at")
    list_select_related = (
        "enrollment__learner",
        "enrollment__course",
        "experiment",
        "arm",
        "stratum",
    )
    list_filter = (("experiment", RelatedFilter),)
    search_fields = ("enrollment__learner__external_id__exact",)
    search_help_text = WHOLE_ID


@admin.register(models.SectionDraw)
class SectionDrawAdmin(ReadOnlyAdmin):
    """The arm of each section, with its size and its place at the draw."""

    list_display = ("section", "experiment", "arm", "size", "stratum", "position", "at")
    list_select_related = ("section__course", "experiment", "arm", "stratum")
    list_filter = (("experiment", RelatedFilter),)
    search_fields = ("section__key",)


@admin.register(models.Stratum)
class StratumAdmin(ReadOnlyAdmin):
    """The strata of experiments, with the number of draws in each."""

    list_display = ("key", "experiment", "drawn")
    list_select_related = ("experiment",)
    list_filter = (("experiment", RelatedFilter),)
    search_fields = ("experiment__key__exact",)


@admin.register(models.SharePeriod)
class SharePeriodAdmin(ReadOnlyAdmin):
    """The shares of adaptive experiments over time, and the outcomes that they follow from."""

    list_display = ("experiment", "position", "at", "shown_shares", "shown_counts")
    list_select_related = ("experiment",)
    list_filter = (("experiment", RelatedFilter),)
    search_fields = ("experiment__key__exact",)

    @display(description="Shares")
    def shown_shares(self, period: models.SharePeriod) -> str:
        """Return the share of each arm, the largest first."""
        shares = sorted(period.shares.items(), key=lambda item: (-item[1], item[0]))
        return ", ".join(f"{share:.1%} {arm}" for arm, share in shares)

    @display(description="Known by then: with the outcome, of those counted")
    def shown_counts(self, period: models.SharePeriod) -> str:
        """Return the outcomes of each arm from which the shares follow."""
        counts = sorted(period.counts.items())
        return ", ".join(f"{seen:,} of {n:,} in {arm}" for arm, (seen, n) in counts)


@admin.register(models.LedgerEntry)
class LedgerEntryAdmin(ReadOnlyAdmin):
    """The sealed entries of ledgers, each chained to the one before by its digest."""

    list_display = ("experiment", "position", "kind", "at", "sha256")
    list_select_related = ("experiment",)
    list_filter = (("experiment", RelatedFilter), "kind")
    search_fields = ("experiment__key__exact",)


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
