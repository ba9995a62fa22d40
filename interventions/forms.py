"""Forms of the admin that check templates, rules and triggers before they are saved."""

from typing import TYPE_CHECKING, Any

from django import forms
from django.core.exceptions import ValidationError

from common.forms import JSONTextField
from interventions.errors import InterventionError
from interventions.models import Cadence, MessageTemplate, Step
from interventions.operations import StepFields, check_cadence, check_steps, check_texts
from interventions.render.liquid import TemplateError
from segmentation.rules import RuleError, parse, to_json

if TYPE_CHECKING:
    TemplateModelForm = forms.ModelForm[MessageTemplate]
    CadenceModelForm = forms.ModelForm[Cadence]
    StepModelForm = forms.ModelForm[Step]
    StepInlineFormSet = forms.BaseInlineFormSet[Step, Cadence, StepModelForm]
else:
    TemplateModelForm = CadenceModelForm = StepModelForm = forms.ModelForm
    StepInlineFormSet = forms.BaseInlineFormSet


def checked_rule(rule: Any) -> Any:
    """Return the rule in its canonical form, None for none. Raise ValidationError with the path."""
    if rule is None:
        return None
    try:
        return to_json(parse(rule))
    except RuleError as error:
        raise ValidationError(str(error)) from None


class TemplateForm(TemplateModelForm):
    """A template with the text of its next version in one locale."""

    locale = forms.CharField(max_length=16, initial="en", help_text="English, en, is always there.")
    subject = forms.CharField(max_length=300, widget=forms.TextInput(attrs={"size": 80}))
    body = forms.CharField(
        widget=forms.Textarea(attrs={"rows": 14, "cols": 90}),
        help_text="Simple HTML with Liquid variables such as {{ learner.first_name }}.",
    )

    class Meta:
        model = MessageTemplate
        fields = ("key", "name", "category")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        texts = self._current_texts()
        locale = "en" if "en" in texts else next(iter(texts), None)
        if locale:
            subject, body = texts[locale]
            self.initial.update({"locale": locale, "subject": subject, "body": body})

    def _current_texts(self) -> dict[str, tuple[str, str]]:
        if not self.instance.pk:
            return {}
        current = self.instance.texts.filter(version=self.instance.version)
        return {text.locale: (text.subject, text.body) for text in current}

    def texts(self) -> dict[str, tuple[str, str]]:
        """Return the texts of the next version: the one edited, the other locales as they were."""
        data = self.cleaned_data
        return self._current_texts() | {data["locale"]: (data["subject"], data["body"])}

    def clean(self) -> dict[str, Any]:
        """Refuse a text that cannot be rendered, with the variable's name."""
        data = super().clean() or {}
        if {"locale", "subject", "body"} <= data.keys():
            try:
                check_texts(self.texts())
            except (InterventionError, TemplateError) as error:
                raise ValidationError(str(error)) from None
        return data


class CadenceForm(CadenceModelForm):
    """A cadence; one for everybody is refused while an experiment runs on its trigger."""

    class Meta:
        model = Cadence
        fields = "__all__"
        field_classes = {"goal_rule": JSONTextField}

    def clean_goal_rule(self) -> Any:
        """Return the goal rule in its canonical form."""
        return checked_rule(self.cleaned_data["goal_rule"])

    def _post_clean(self) -> None:
        super()._post_clean()  # type: ignore[misc]
        # The instance now holds what is to be saved. The admin saves in this same transaction, so
        # the lock that the check takes holds until then.
        if not self.errors:
            try:
                check_cadence(self.instance)
            except InterventionError as error:
                self.add_error(None, str(error))


class StepForm(StepModelForm):
    """A step; its channel is its template's."""

    class Meta:
        model = Step
        fields = ("position", "delay", "template", "condition")
        field_classes = {"condition": JSONTextField}
        help_texts = {"delay": "After the step before, as days hours:minutes:seconds."}

    def clean_condition(self) -> Any:
        """Return the condition in its canonical form."""
        return checked_rule(self.cleaned_data["condition"])

    def save(self, commit: bool = True) -> Step:
        """Save the step with its template's channel."""
        self.instance.channel = self.instance.template.channel
        return super().save(commit=commit)


class StepFormSet(StepInlineFormSet):
    """The steps of a cadence, of which there is at least one, in the cadence's category."""

    def clean(self) -> None:
        """Refuse a cadence that would send nothing, or under another category."""
        super().clean()
        kept = [f.cleaned_data for f in self.forms if f.is_valid() and f.cleaned_data]
        steps = [data for data in kept if not data.get("DELETE") and data.get("template")]
        if not steps and not any(self.errors):
            raise ValidationError("Add at least one step: without one nothing is sent.")
        if getattr(self.instance, "category_id", None) is None:
            return
        try:
            check_steps(self.instance, [StepFields(data["template"]) for data in steps])
        except InterventionError as error:
            raise ValidationError(str(error)) from None
