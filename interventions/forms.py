"""Forms of the admin that check templates, rules and triggers before they are saved."""

import math
from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from django import forms
from django.core.exceptions import ValidationError
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from unfold.widgets import UnfoldAdminTextareaWidget, UnfoldAdminTextInputWidget

from activity.rights import REFUSAL
from interventions.models import Cadence, CadenceStatus, MessageTemplate, Step
from interventions.operations import (
    InterventionError,
    StepFields,
    check_cadence,
    check_steps,
    check_texts,
)
from interventions.policy.durations import (
    EXAMPLES,
    DurationError,
    duration_in_words,
    parse_duration,
)
from interventions.queries.texts import DEFAULT_LOCALE
from interventions.render.context import KNOWN_VARIABLES
from interventions.render.liquid import TemplateError
from segmentation.forms import RuleField

if TYPE_CHECKING:
    TemplateModelForm = forms.ModelForm[MessageTemplate]
    CadenceModelForm = forms.ModelForm[Cadence]
    StepModelForm = forms.ModelForm[Step]
    StepInlineFormSet = forms.BaseInlineFormSet[Step, Cadence, "StepForm"]
else:
    TemplateModelForm = CadenceModelForm = StepModelForm = forms.ModelForm
    StepInlineFormSet = forms.BaseInlineFormSet


class DurationTextField(forms.Field):
    """A duration in words, such as "3 days", shown again in the same words."""

    def __init__(self, *, help_text: str = "", **kwargs: Any) -> None:
        super().__init__(help_text=f"{help_text} Such as {EXAMPLES}.".strip(), **kwargs)

    def to_python(self, value: Any) -> timedelta | None:
        """Return the duration, None for none. Raise ValidationError with examples."""
        if value in self.empty_values or isinstance(value, timedelta):
            return value if isinstance(value, timedelta) else None
        try:
            return parse_duration(str(value))
        except DurationError as error:
            raise ValidationError(str(error)) from None

    def prepare_value(self, value: Any) -> Any:
        """Return the words to show; what a person typed stays as it is."""
        return duration_in_words(value) if isinstance(value, timedelta) else value

    def widget_attrs(self, widget: forms.Widget) -> dict[str, Any]:
        """Return the examples, to be seen in the box while it is empty."""
        return {"placeholder": EXAMPLES}


def _as_typed(*sources: str) -> SafeString:
    whole = ((source,) for source in sources)
    return format_html_join(", ", '<code class="whitespace-nowrap">{}</code>', whole)


_BODY_HELP = format_html(
    "Plain text, with an empty line between paragraphs, or simple HTML; with Liquid. Subject and "
    "body may use {}. A name, the minutes or the address may be missing: write {}, or put what "
    "speaks of it between {} and {}. Saving tries the text without each of them.",
    _as_typed(*(f"{{{{ {name} }}}}" for name in KNOWN_VARIABLES)),
    _as_typed("{{ learner.first_name | default: 'there' }}"),
    _as_typed("{% if next_item %}"),
    _as_typed("{% endif %}"),
)


class TemplateForm(TemplateModelForm):
    """A template with the text of its next version in one locale."""

    locale = forms.CharField(
        max_length=16,
        initial=DEFAULT_LOCALE,
        widget=UnfoldAdminTextInputWidget,
        help_text="The language of this text, such as en or pt-BR. English, en, is always there.",
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
        """Return the texts of the next version: the one edited, the other locales as they were."""
        data = self.cleaned_data
        return self._current_texts() | {data["locale"]: (data["subject"], data["body"])}

    def clean(self) -> dict[str, Any]:
        """Refuse a text that cannot be rendered, with the variable's name."""
        data = super().clean() or {}
        if {"locale", "subject", "body"} <= data.keys():
            try:
                check_texts(self.texts(), channel=data.get("channel", self.instance.channel))
            except (InterventionError, TemplateError) as error:
                raise ValidationError(str(error)) from None
        return data


class CadenceForm(CadenceModelForm):
    """A cadence; one for everybody is refused while an experiment runs on its trigger.

    `may_send` is set by the admin for each request. Without it no active cadence is saved: not one
    that is made active, and not another text or arm for one that is.
    """

    may_send = False

    class Meta:
        model = Cadence
        fields = "__all__"
        field_classes: ClassVar = {
            "goal_rule": RuleField,
            "cooldown": DurationTextField,
            "max_age": DurationTextField,
        }
        widgets: ClassVar = {"goal_rule": UnfoldAdminTextareaWidget(attrs={"rows": 4})}

    def clean_status(self) -> str:
        """Return the status. Refuse an active cadence to those who may not send."""
        status: str = self.cleaned_data["status"]
        if status == CadenceStatus.ACTIVE and not self.may_send:
            raise ValidationError(f"{REFUSAL} Save it as a draft until then.")
        return status

    def _post_clean(self) -> None:
        super()._post_clean()  # type: ignore[misc]
        # The instance now holds what is to be saved. The admin saves in this same transaction, so
        # the lock that the check takes holds until then.
        if not self.errors:
            try:
                check_cadence(self.instance)
            except InterventionError as error:
                self.add_error(error.field or None, str(error))


class StepForm(StepModelForm):
    """A step; its channel is its template's, its position that of its row."""

    # Not the model's `position`: no row is right or wrong by itself, the formset numbers them all.
    order = forms.IntegerField(required=False, widget=forms.HiddenInput)

    class Meta:
        model = Step
        fields = ("order", "delay", "template", "condition")
        field_classes: ClassVar = {"condition": RuleField, "delay": DurationTextField}
        widgets: ClassVar = {"condition": UnfoldAdminTextareaWidget(attrs={"rows": 3})}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk:
            self.initial["order"] = self.instance.position
        self.stored_position = self.instance.position if self.instance.pk else None

    def has_changed(self) -> bool:
        """Return whether there is something to save: what was typed, or another position."""
        moved = self.stored_position not in (None, self.instance.position)
        return moved or super().has_changed()

    def save(self, commit: bool = True) -> Step:
        """Save the step with its template's channel."""
        self.instance.channel = self.instance.template.channel
        return super().save(commit=commit)


class StepFormSet(StepInlineFormSet):
    """The steps of a cadence, of which there is at least one, in the cadence's category."""

    def clean(self) -> None:
        """Number the steps. Refuse a cadence that would send nothing, or under another category."""
        super().clean()
        steps = self._kept()
        if not steps and not any(self.errors):
            raise ValidationError("Add at least one step: without one nothing is sent.")
        self._number(steps)
        if getattr(self.instance, "category_id", None) is None:
            return
        try:
            templates = [form.cleaned_data["template"] for form in steps]
            check_steps(self.instance, [StepFields(template) for template in templates])
        except InterventionError as error:
            raise ValidationError(str(error)) from None

    def _kept(self) -> list[StepForm]:
        kept = [form for form in self.forms if form.is_valid() and form.cleaned_data]
        return [
            form
            for form in kept
            if not form.cleaned_data.get("DELETE") and form.cleaned_data.get("template")
        ]

    def _number(self, steps: list[StepForm]) -> None:
        # Rows dragged to their place are numbered by the page, the others stand as they came: a
        # row without a number is behind all that have one.
        rows = sorted(steps, key=_place)
        positions = positions_in_order([form.stored_position for form in rows])
        for form, position in zip(rows, positions, strict=True):
            form.instance.position = position


def _place(form: StepForm) -> float:
    order = form.cleaned_data.get("order")
    return math.inf if order is None else order


def positions_in_order(stored: Sequence[int | None]) -> list[int]:
    """Return the positions of rows in their order; `stored` gives those that they have, if any.

    Steps that keep their order keep their positions, gaps and all: runs under way wait for one.
    """
    known = [position for position in stored if position is not None]
    if known != sorted(known) or None in stored[: len(known)]:
        return list(range(len(stored)))
    after = known[-1] + 1 if known else 0
    return [*known, *range(after, after + len(stored) - len(known))]
