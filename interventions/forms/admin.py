"""Admin forms that check templates, rules and cadences before they are saved."""

from typing import TYPE_CHECKING, Any, ClassVar

from django import forms
from django.core.exceptions import ValidationError
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from unfold.widgets import (
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
)

from activity.access import COMMAND_LINE, Viewer
from activity.rights import REFUSAL
from interventions.forms.fields import DurationTextField, LocaleField, TimeOfDayField, WeekdaysField
from interventions.models import (
    Cadence,
    CadenceStatus,
    Category,
    CategoryText,
    MessageTemplate,
    QuietHours,
)
from interventions.operations import (
    InterventionError,
    check_cadence,
    check_category,
    check_opt_in,
    check_texts,
    free_cadence_key,
)
from interventions.queries.texts import DEFAULT_LOCALE
from interventions.render.context import KNOWN_VARIABLES
from interventions.render.liquid import TemplateError
from segmentation.forms import RuleField

if TYPE_CHECKING:
    TemplateModelForm = forms.ModelForm[MessageTemplate]
    CategoryModelForm = forms.ModelForm[Category]
    CategoryTextModelForm = forms.ModelForm[CategoryText]
    CadenceModelForm = forms.ModelForm[Cadence]
    QuietHoursModelForm = forms.ModelForm[QuietHours]
else:
    TemplateModelForm = CadenceModelForm = QuietHoursModelForm = forms.ModelForm
    CategoryModelForm = CategoryTextModelForm = forms.ModelForm


def _as_typed(*sources: str) -> SafeString:
    whole = ((source,) for source in sources)
    return format_html_join(", ", '<code class="whitespace-nowrap">{}</code>', whole)


_BODY_HELP = format_html(
    "Write plain text with an empty line between paragraphs, or simple HTML. The first link that "
    "stands alone in a paragraph becomes the button of the mail. Subject and body may use these "
    "variables: {}. Some variables may be missing for a learner. For these, write a "
    "default such as {}, or put the sentence between {} and {}. When you save, the text is tried "
    "without each of them.",
    _as_typed(*(f"{{{{ {name} }}}}" for name in KNOWN_VARIABLES)),
    _as_typed("{{ learner.first_name | default: 'there' }}"),
    _as_typed("{% if next_item %}"),
    _as_typed("{% endif %}"),
)


class TemplateForm(TemplateModelForm):
    """A template with the text of its next version in one locale.

    The admin sets `viewer` for each request. A refusal names only what the viewer may see.
    """

    viewer: ClassVar[Viewer] = COMMAND_LINE
    locale = forms.CharField(
        max_length=16,
        initial=DEFAULT_LOCALE,
        widget=UnfoldAdminTextInputWidget,
        help_text="The language of this text, such as en or pt-BR. A text in English (en) is "
        "required.",
    )
    subject = forms.CharField(max_length=300, widget=UnfoldAdminTextInputWidget)
    body = forms.CharField(
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 14}),
        help_text=_BODY_HELP,
    )

    class Meta:
        model = MessageTemplate
        fields = ("key", "name", "channel", "category")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        texts = self._current_texts()
        locale = DEFAULT_LOCALE if DEFAULT_LOCALE in texts else next(iter(texts), None)
        if locale:
            subject, body = texts[locale]
            self.initial.update({"locale": locale, "subject": subject, "body": body})

    def _current_texts(self) -> dict[str, tuple[str, str]]:
        if not self.instance.pk:
            return {}
        current = self.instance.texts.filter(version=self.instance.version)
        return {text.locale: (text.subject, text.body) for text in current}

    def texts(self) -> dict[str, tuple[str, str]]:
        """Return the texts of the next version: the edited text and the other locales' texts."""
        data = self.cleaned_data
        return self._current_texts() | {data["locale"]: (data["subject"], data["body"])}

    def clean(self) -> dict[str, Any]:
        """Refuse a text that cannot be rendered, with the reason."""
        data = super().clean() or {}
        if {"locale", "subject", "body"} <= data.keys():
            try:
                check_texts(self.texts(), channel=data.get("channel", self.instance.channel))
            except (InterventionError, TemplateError) as error:
                raise ValidationError(str(error)) from None
        self._check_category(data.get("category"))
        return data

    def _check_category(self, category: Category | None) -> None:
        # The instance gets what was typed only after this.
        if self.instance.pk and category is not None:
            try:
                check_category(self.instance, category, viewer=self.viewer)
            except InterventionError as error:
                self.add_error("category", str(error))


class CategoryForm(CategoryModelForm):
    """A category. Consent that was asked for cannot be given up later."""

    class Meta:
        model = Category
        fields = "__all__"

    def clean_needs_opt_in(self) -> bool:
        """Return the tick. Refuse to take it away while learners rely on it."""
        value: bool = self.cleaned_data["needs_opt_in"]
        # The instance gets what was typed only after this.
        if self.instance.pk:
            try:
                check_opt_in(self.instance, needs_opt_in=value)
            except InterventionError as error:
                raise ValidationError(str(error)) from None
        return value


class CategoryTextForm(CategoryTextModelForm):
    """The name of a category in one language, which may be written like pt_BR."""

    class Meta:
        model = CategoryText
        fields = ("locale", "name", "description")
        field_classes: ClassVar = {"locale": LocaleField}


class QuietHoursForm(QuietHoursModelForm):
    """Quiet hours, whose times may be written like 9pm."""

    class Meta:
        model = QuietHours
        fields = ("course", "begins", "ends")
        field_classes: ClassVar = {"begins": TimeOfDayField, "ends": TimeOfDayField}
        widgets: ClassVar = {
            "begins": UnfoldAdminTextInputWidget,
            "ends": UnfoldAdminTextInputWidget,
        }


class CadenceForm(CadenceModelForm):
    """A cadence. A cadence without an arm is refused while an experiment runs in its segment.

    The admin sets `may_send` for each request. Without it no active cadence can be saved: none can
    be made active, and none that is active can be changed.
    """

    may_send = False

    class Meta:
        model = Cadence
        fields = "__all__"
        field_classes: ClassVar = {
            "goal_rule": RuleField,
            "cooldown": DurationTextField,
            "max_age": DurationTextField,
            "window_from": TimeOfDayField,
            "window_until": TimeOfDayField,
            "weekdays": WeekdaysField,
        }
        widgets: ClassVar = {
            "goal_rule": UnfoldAdminTextareaWidget(
                attrs={"rows": 4, "data-rule": "Add a goal: conditions that end it"}
            ),
            "weekdays": UnfoldAdminCheckboxSelectMultipleWidget,
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Users who may only read it get no such field.
        if "key" in self.fields:
            self.fields["key"].required = False
            self.fields["key"].help_text = "Without one, it is made from the name."

    def clean(self) -> dict[str, Any]:
        """Make the key from the name if none is entered."""
        data = super().clean() or {}
        if not data.get("key") and data.get("name"):
            data["key"] = self.instance.key or free_cadence_key(data["name"])
        return data

    def clean_status(self) -> str:
        """Return the status. Refuse "active" if the user may not send."""
        status: str = self.cleaned_data["status"]
        if status == CadenceStatus.ACTIVE and not self.may_send:
            raise ValidationError(f"{REFUSAL} Save it as a draft until then.")
        return status

    def _post_clean(self) -> None:
        super()._post_clean()  # type: ignore[misc]
        # The instance now has the values to be saved. The admin saves in the same transaction, so
        # the lock of the check is held until then.
        if not self.errors:
            try:
                check_cadence(self.instance)
            except InterventionError as error:
                self.add_error(error.field or None, str(error))
