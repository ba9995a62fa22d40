"""The steps of a cadence as rows of its admin page."""

import math
from bisect import bisect_left
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from django import forms
from django.core.exceptions import ValidationError
from unfold.widgets import UnfoldAdminTextareaWidget, UnfoldAdminTextInputWidget

from interventions.forms.fields import DurationTextField, StepNumberField
from interventions.models import END_POSITION, Cadence, Step
from interventions.operations import (
    InterventionError,
    StepFields,
    check_channel,
    check_steps,
)
from segmentation.forms import RuleField

if TYPE_CHECKING:
    StepModelForm = forms.ModelForm[Step]
    StepInlineFormSet = forms.BaseInlineFormSet[Step, Cadence, "StepForm"]
else:
    StepModelForm, StepInlineFormSet = forms.ModelForm, forms.BaseInlineFormSet

BRANCHES = ("then", "otherwise")
_NUMBER = UnfoldAdminTextInputWidget(attrs={"placeholder": "next", "size": 8})


class StepForm(StepModelForm):
    """A step. Its channel comes from its template, and its position from its row."""

    # Not the model's `position`, because only the formset can number all rows.
    order = forms.IntegerField(required=False, widget=forms.HiddenInput)
    # Numbers of rows, because that is what people see. The formset finds the positions.
    otherwise = StepNumberField(required=False, label="If not", widget=_NUMBER)
    then = StepNumberField(required=False, label="Afterwards", widget=_NUMBER)

    class Meta:
        model = Step
        fields = ("order", "delay", "template", "condition")
        field_classes: ClassVar = {"condition": RuleField, "delay": DurationTextField}
        widgets: ClassVar = {
            "condition": UnfoldAdminTextareaWidget(
                attrs={"rows": 3, "data-rule": "Send it only if …"}
            )
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk:
            self.initial["order"] = self.instance.position
        self.stored_position = self.instance.position if self.instance.pk else None
        self._stored_places = self._places()

    def has_changed(self) -> bool:
        """Return whether the step has new values, another position or other branches."""
        moved = self.stored_position is not None and self._places() != self._stored_places
        return moved or super().has_changed()

    def _places(self) -> tuple[int | None, ...]:
        step = self.instance
        return step.position, step.then_position, step.otherwise_position

    def clean(self) -> dict[str, Any] | None:
        """Refuse a template of another channel while messages of the step wait."""
        cleaned = super().clean()
        template = self.cleaned_data.get("template")
        if self.instance.pk and template is not None:
            try:
                check_channel(self.instance, template)
            except InterventionError as error:
                raise ValidationError({"template": str(error)}) from None
        return cleaned

    def save(self, commit: bool = True) -> Step:
        """Save the step with its template's channel."""
        self.instance.channel = self.instance.template.channel
        return super().save(commit=commit)


class StepFormSet(StepInlineFormSet):
    """The steps of a cadence: at least one, all with templates of the cadence's category."""

    def _construct_form(self, i: int, **kwargs: Any) -> StepForm:
        form: StepForm = super()._construct_form(i, **kwargs)  # type: ignore[misc]
        positions = [step.position for step in self.get_queryset()]
        for name in BRANCHES:
            position = getattr(form.instance, f"{name}_position")
            form.initial[name] = number_at(positions, position)
        return form

    def clean(self) -> None:
        """Number the steps. Refuse a cadence without steps and templates of another category."""
        super().clean()
        steps = self._kept()
        if not steps and not any(self.errors):
            raise ValidationError("Add at least one step. A cadence without steps sends nothing.")
        place_branches(self._numbered(steps), self._stored_positions())
        if getattr(self.instance, "category_id", None) is None:
            return
        try:
            templates = [form.cleaned_data["template"] for form in steps]
            check_steps(self.instance, [StepFields(template) for template in templates])
        except InterventionError as error:
            raise ValidationError(str(error)) from None

    def _stored_positions(self) -> list[int]:
        # Not from the rows of the queryset, which have their new positions by now.
        found = (form.stored_position for form in self.initial_forms)
        return [position for position in found if position is not None]

    def _kept(self) -> list[StepForm]:
        kept = [form for form in self.forms if form.is_valid() and form.cleaned_data]
        return [
            form
            for form in kept
            if not form.cleaned_data.get("DELETE") and form.cleaned_data.get("template")
        ]

    def _numbered(self, steps: list[StepForm]) -> list[StepForm]:
        """Give the rows their positions. Return them as the page shows them."""
        # The page numbers the rows that were dragged. Rows without a number come after all others,
        # in their order in the form.
        rows = sorted(steps, key=_place)
        positions = positions_in_order([form.stored_position for form in rows])
        for form, position in zip(rows, positions, strict=True):
            form.instance.position = position
        return rows


def _place(form: StepForm) -> float:
    order = form.cleaned_data.get("order")
    return math.inf if order is None else order


def positions_in_order(stored: Sequence[int | None]) -> list[int]:
    """Return the positions for rows in this order. `stored` holds their present positions, if any.

    If the order is unchanged, positions stay the same, even with gaps, because active runs refer to
    them.
    """
    known = [position for position in stored if position is not None]
    if known != sorted(known) or None in stored[: len(known)]:
        return list(range(len(stored)))
    after = known[-1] + 1 if known else 0
    return [*known, *range(after, after + len(stored) - len(known))]


def number_at(positions: Sequence[int], position: int | None) -> int | None:
    """Return the number of the row at the position or behind it. END_POSITION: there is none."""
    if position is None:
        return None
    row = bisect_left(positions, position)
    return row + 1 if row < len(positions) else END_POSITION


def place_branches(rows: Sequence[StepForm], stored: Sequence[int]) -> None:
    """Set the positions of the branches from the numbers in the rows, which are in page order.

    A number that was typed is that of a row as it is now. One that was left alone keeps its step,
    also if the rows were dragged. `stored` are the positions before the edit.
    """
    for form in rows:
        for name in BRANCHES:
            try:
                position = _position_of(form, name, rows, stored)
                _check_branch(form, name, position)
            except ValidationError as error:
                form.add_error(name, error)
            else:
                setattr(form.instance, f"{name}_position", position)


def _position_of(
    form: StepForm, name: str, rows: Sequence[StepForm], stored: Sequence[int]
) -> int | None:
    number: int | None = form.cleaned_data.get(name)
    if number is None or number == END_POSITION:
        return number
    if name in form.changed_data:
        if number > len(rows):
            raise ValidationError(f"There is no step {number}.")
        return int(rows[number - 1].instance.position)
    # A step that is removed in this edit is replaced by the one that came after it.
    now = {row.stored_position: row.instance.position for row in rows}
    kept = (now[position] for position in stored[number - 1 :] if position in now)
    return next(kept, END_POSITION)


def _check_branch(form: StepForm, name: str, position: int | None) -> None:
    if position is None:
        return
    if position <= form.instance.position:
        raise ValidationError("A step can only go on with a later step, or with “end”.")
    if name == "otherwise" and form.cleaned_data.get("condition") is None:
        raise ValidationError("Without a condition there is no “if not”. Add one, or empty this.")
