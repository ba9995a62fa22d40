"""Admin pages of categories, templates and the mailbox."""

from typing import Any

from django.contrib import admin, messages
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.decorators import display

from activity.access import for_user, named
from activity.admin import KeptAdmin, ReadOnlyAdmin, RelatedFilter, StackInline, TableInline
from activity.texts import a_few
from interventions import models, operations
from interventions.channels import CHANNELS
from interventions.forms import CategoryForm, CategoryTextForm, TemplateForm
from interventions.queries.texts import TextCache
from interventions.render.liquid import TemplateError

# The preview loads nothing from other sites, and its links do not work.
_POLICY = (
    '<meta http-equiv="Content-Security-Policy" '
    "content=\"default-src 'none'; style-src 'unsafe-inline'\"><base target=_blank>"
)
_FRAME = (
    '<p class="mb-2 font-semibold">{subject}</p>'
    '<iframe title="Preview" sandbox="" referrerpolicy="no-referrer" srcdoc="{html}" '
    'class="border border-base-200 preview rounded-default w-full dark:border-base-700"></iframe>'
    '<p class="mt-2">This is the saved English text with example values.</p>'
)

# The fields that decide which messages go out, and when.
_LIMITS = frozenset({"needs_opt_in", "capped", "quiet", "required", "once_for_all_courses"})
_AT_ONCE = "The change holds at once for the messages of {}, also for those that wait already."


class CategoryTextInline(TableInline):
    """The names of a category in other languages."""

    model = models.CategoryText
    verbose_name = "name in another language"
    verbose_name_plural = "names in other languages"
    form = CategoryTextForm
    extra = 0

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return whether the user may change the category. Nothing else refers to its names."""
        return bool(self.has_change_permission(request, obj))


@admin.register(models.Category)
class CategoryAdmin(KeptAdmin):
    """Kinds of messages that a learner can want or not want."""

    list_display = (
        "name",
        "key",
        "needs_opt_in",
        "capped",
        "quiet",
        "once_for_all_courses",
        "required",
        "in_doubt_policy",
    )
    search_fields = ("key", "name")
    inlines = (CategoryTextInline,)
    form = CategoryForm

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """Return the key of a saved category: learners' mail programs sort by it."""
        return ("key",) if obj else ()

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Save the category. Say for which cadences other limits hold now."""
        super().save_model(request, obj, form, change)
        active = obj.cadences.filter(status=models.CadenceStatus.ACTIVE)
        concerned = named(for_user(active, request.user), request.user)
        if change and _LIMITS & {*form.changed_data} and concerned.exists():
            which = a_few([f"“{each}”" for each in concerned.order_by("name", "pk")])
            messages.warning(request, _AT_ONCE.format(which))


@admin.register(models.CategoryText)
class CategoryTextAdmin(ReadOnlyAdmin):
    """All names of categories in other languages, read-only. They are edited at their category."""

    list_display = ("category", "locale", "name", "description")
    list_select_related = ("category",)
    list_filter = ("locale",)


class TemplateTextInline(StackInline):
    """The texts of all versions, read-only."""

    model = models.TemplateText
    fields = readonly_fields = ("version", "locale", "subject", "body")
    extra = 0
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return False, because saving the form above makes the next version."""
        return False


@admin.register(models.MessageTemplate)
class MessageTemplateAdmin(KeptAdmin):
    """Templates. Other texts make a new version, and sent messages keep their version."""

    form = TemplateForm
    list_display = ("name", "key", "channel", "category", "version")
    list_select_related = ("category",)
    list_filter = ("channel", "category")
    search_fields = ("key", "name")
    readonly_fields = ("version", "preview")
    inlines = (TemplateTextInline,)

    @display(description="Preview")
    def preview(self, template: models.MessageTemplate) -> SafeString | str:
        """Return the saved English text with example values, in a frame without scripts."""
        text = TextCache().choose(template, ()) if template.pk else None
        if text is None:
            return "Save the template to see it with example values."
        try:
            shown = CHANNELS[template.channel].preview(text)
        except TemplateError as error:
            return str(error)
        return format_html(_FRAME, subject=shown.subject, html=_POLICY + shown.html)

    def page_links(self, row: Any) -> list[tuple[str, str]]:
        """Return the page with previews, test mails and versions."""
        address = reverse("interventions:template", args=(row.pk,))
        return [("Preview for a learner, test mail and versions", address)]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """Return also the key of a saved template. Under another key a second one would be made."""
        return (*self.readonly_fields, "key") if obj else self.readonly_fields

    def get_form(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        """Return the form, which knows its viewer."""
        form = super().get_form(request, *args, **kwargs)
        form.viewer = request.user
        return form

    def get_exclude(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """Return the channel if there is only one, or if the template is already saved."""
        return ("channel",) if obj or len(CHANNELS) == 1 else ()

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Save the template, with other texts as the next version."""
        stored = operations.save_template(
            obj.key, name=obj.name, category=obj.category, texts=form.texts(), channel=obj.channel
        )
        obj.pk, obj.version = stored.pk, stored.version


@admin.register(models.TemplateText)
class TemplateTextAdmin(ReadOnlyAdmin):
    """All texts of all template versions."""

    list_display = ("template", "version", "locale", "subject")
    list_select_related = ("template",)
    list_filter = ("locale", ("template", RelatedFilter))


@admin.register(models.MailboxMessage)
class MailboxMessageAdmin(ReadOnlyAdmin):
    """Messages in the staff mailbox. The page /mailbox/ shows them as a learner sees them."""

    list_display = ("subject", "recipient", "received_at")
    search_fields = ("recipient__exact",)
    # The other fields hold links to the learner's own pages, which /mailbox/ masks.
    fields = ("subject", "sender", "recipient", "received_at", "message_id")

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        """Refuse filters on hidden fields, because their results would reveal the values."""
        shown = lookup.partition("__")[0] in self.fields
        return shown and super().lookup_allowed(lookup, value, request)
