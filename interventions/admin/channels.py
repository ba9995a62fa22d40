"""Admin pages of webhook endpoints, course sites and the messages on them."""

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from unfold.decorators import display

from activity.admin import WHOLE_ID, Button, ButtonsAdmin, ReadOnlyAdmin
from common.clock import utc_now
from common.dates import instant_text
from interventions import models, operations
from interventions.forms import CourseSiteForm, WebhookEndpointForm

_SECRET = "The secret of {} is <code>{}</code>. Copy it now: it is not shown again."  # noqa: S105


class _WithSecretAdmin(ButtonsAdmin):
    """A page of a row with a secret, which is shown once when it is made or changed."""

    actions = ("renew_secret",)
    list_select_related = ("course",)
    autocomplete_fields = ("course",)
    # What a row without a course is for.
    all_others = ""

    @display(description="For")
    def shown_course(self, row: Any) -> str:
        """Return the course, or that it is for all other courses."""
        return str(row.course or self.all_others)

    def buttons(self, request: HttpRequest, row: Any) -> list[Button]:
        """Return the button for a new secret."""
        consequence = (
            "It is shown once. The old secret stays valid for one day, and until then it cannot be "
            "changed again."
        )
        may_change = self.has_change_permission(request)
        return [Button("renew_secret", "New secret", consequence)] if may_change else []

    @admin.action(description="New secret", permissions=["change"])
    def renew_secret(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        """Give the chosen rows new secrets and show them once."""
        for row in queryset:
            try:
                secret = operations.renew_secret(row, now=utc_now())
            except operations.InterventionError as error:
                messages.error(request, f"{row}: {error}")
                continue
            messages.warning(request, format_html(_SECRET, row, secret))


@admin.register(models.WebhookEndpoint)
class WebhookEndpointAdmin(_WithSecretAdmin):
    """Endpoints to which messages of the channel “webhook” go."""

    form = WebhookEndpointForm
    list_display = ("url", "shown_course", "shown_state")
    all_others = "every course without its own endpoint"
    fields = ("course", "url", "active", "shown_state")
    readonly_fields = ("shown_state",)

    @display(description="State")
    def shown_state(self, endpoint: models.WebhookEndpoint) -> str:
        """Return how the endpoint answered last."""
        zone = endpoint.shown_zone
        if endpoint.disabled_at is not None:
            at = instant_text(endpoint.disabled_at, zone=zone)
            return f"switched off on {at}, because it answered: {endpoint.last_error}"
        if not endpoint.active:
            return "switched off; its messages wait"
        if endpoint.down_until is not None and endpoint.down_until > utc_now():
            at = instant_text(endpoint.down_until, zone=zone)
            return f"its messages wait until {at}, because it failed: {endpoint.last_error}"
        return f"failed last: {endpoint.last_error}" if endpoint.last_error else "no failure"

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Save the endpoint, and show the secret of a new one once."""
        secret = operations.save_endpoint(obj)
        if secret:
            messages.warning(request, format_html(_SECRET, obj, secret))

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return whether the user may delete endpoints. A course then has no own one."""
        return bool(request.user.has_perm("interventions.delete_webhookendpoint"))


@admin.register(models.CourseSite)
class CourseSiteAdmin(_WithSecretAdmin):
    """Sites that show messages of the channel “message on the course site”."""

    form = CourseSiteForm
    list_display = ("name", "shown_course", "active")
    all_others = "every course without its own site"
    fields = ("name", "course", "origins", "active", "key")
    readonly_fields = ("key",)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Save the site, and show the secret of a new one once."""
        secret = operations.save_course_site(obj)
        if secret:
            messages.warning(request, format_html(_SECRET, obj, secret))

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return False: a site that is switched off shows nothing."""
        return False


@admin.register(models.InAppMessage)
class InAppMessageAdmin(ReadOnlyAdmin):
    """The messages on course sites, with what their learners did with them."""

    list_display = ("title", "enrollment", "sent_at", "expires_at", "seen_at", "dismissed_at")
    list_select_related = ("enrollment__learner", "enrollment__course")
    search_fields = ("learner__external_id__exact",)
    search_help_text = WHOLE_ID
