"""Admin pages of what providers report about messages."""

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.decorators import display

from activity.admin import ReadOnlyAdmin
from interventions import models


class WaitingFilter(admin.SimpleListFilter):
    """Only the events that have not acted yet."""

    title = "waiting"
    parameter_name = "waiting"

    def lookups(self, request: HttpRequest, model_admin: object) -> list[tuple[str, str]]:
        """Return the choices."""
        return [("yes", "Wait"), ("unknown", "Wait: their message is unknown")]

    def queryset(
        self, request: HttpRequest, queryset: QuerySet[models.TrackingEvent]
    ) -> QuerySet[models.TrackingEvent]:
        """Return the rows of the choice."""
        match self.value():
            case "yes":
                return queryset.filter(retry_at__isnull=False)
            case "unknown":
                return queryset.filter(delivery__isnull=True)
        return queryset


@admin.register(models.TrackingEvent)
class TrackingEventAdmin(ReadOnlyAdmin):
    """What providers and links say about messages.

    An event of an unknown message waits. It is deleted after three days, because then it is about
    the mail of another program.
    """

    list_display = ("kind", "provider", "happened_at", "shown_message", "machine", "retry_at")
    list_select_related = ("delivery__enrollment__course", "delivery__step__template")
    list_filter = (WaitingFilter,)

    @display(description="Message")
    def shown_message(self, event: models.TrackingEvent) -> str:
        """Return the template of the message, or that the message is unknown."""
        if event.delivery is None:
            return "unknown, so it waits"
        return str(event.delivery.step.template)


@admin.register(models.Receipt)
class ReceiptAdmin(ReadOnlyAdmin):
    """What became of messages after their hand-off."""

    list_display = ("delivery", "delivered_at", "hard_bounced_at", "opened_at", "clicked_at")
    list_select_related = (
        "delivery__step__cadence__segment__playbook",
        "delivery__learner",
        "delivery__enrollment__course",
    )
