"""Admin pages of what is said: categories, templates, and the mailbox."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from unfold.admin import StackedInline
from unfold.contrib.filters.admin import AutocompleteSelectFilter

from common.admin import KeptAdmin, ReadOnlyAdmin
from interventions import models, operations
from interventions.forms import TemplateForm


@admin.register(models.Category)
class CategoryAdmin(KeptAdmin):
    """Kinds of messages that a learner can want or not want."""

    list_display = ("name", "key", "needs_opt_in", "capped", "quiet", "in_doubt_policy")
    search_fields = ("key", "name")


class TemplateTextInline(StackedInline):
    """The texts of all versions, to look at."""

    model = models.TemplateText
    fields = readonly_fields = ("version", "locale", "subject", "body")
    extra = 0
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return False: saving the form above makes the next version."""
        return False


@admin.register(models.MessageTemplate)
class MessageTemplateAdmin(KeptAdmin):
    """Templates. Saving makes a new version; what was sent keeps naming its own."""

    form = TemplateForm
    list_display = ("name", "key", "channel", "category", "version")
    list_select_related = ("category",)
    list_filter = ("channel", "category")
    search_fields = ("key", "name")
    readonly_fields = ("version",)
    inlines = (TemplateTextInline,)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Save the template with its text as the next version."""
        stored = operations.save_template(
            obj.key, name=obj.name, category=obj.category, texts=form.texts()
        )
        obj.pk, obj.version = stored.pk, stored.version


@admin.register(models.TemplateText)
class TemplateTextAdmin(ReadOnlyAdmin):
    """Every text that a template ever had."""

    list_display = ("template", "version", "locale", "subject")
    list_select_related = ("template",)
    list_filter = ("locale", ("template", AutocompleteSelectFilter))


@admin.register(models.MailboxMessage)
class MailboxMessageAdmin(ReadOnlyAdmin):
    """Messages that landed in the mailbox; /mailbox/ shows them as a learner sees them."""

    list_display = ("subject", "recipient", "received_at")
    search_fields = ("recipient__exact",)
