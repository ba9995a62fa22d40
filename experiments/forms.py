"""Forms of the admin that say what is wrong with an experiment and its arms, where it is."""

from collections.abc import Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any, ClassVar

from django import forms
from django.core.exceptions import ValidationError

from experiments.models import ARM_KEY_ONCE, ARM_ONE_CONTROL, ARM_POSITION_ONCE, Arm, Experiment

if TYPE_CHECKING:
    ExperimentModelForm = forms.ModelForm[Experiment]
    ArmModelForm = forms.ModelForm[Arm]
    ArmInlineFormSet = forms.BaseInlineFormSet[Arm, Experiment, ArmModelForm]
else:
    ExperimentModelForm = ArmModelForm = forms.ModelForm
    ArmInlineFormSet = forms.BaseInlineFormSet

SHARE = "Write a share between 0 and 1, such as 0.5 for half."
# Django counts the digits before it compares: it would speak of digits to who writes 50 for 50 %.
_SHARE_ERRORS = dict.fromkeys(("max_digits", "max_whole_digits"), SHARE)
POPULATION = "Choose a segment or a playbook: the experiment is among its members."
ONE_POPULATION = "Choose a segment or a playbook, not both."
# The highest that the column holds, and far above what anybody numbers arms with.
_PARKED = 32767
HIGHEST_POSITION = 1000


def checked_share(value: Decimal) -> Decimal:
    """Return the share. Raise ValidationError where it does not lie in 0..1."""
    if not 0 <= value <= 1:
        raise ValidationError(SHARE)
    return value


class ExperimentForm(ExperimentModelForm):
    """An experiment. Whether it can start is not asked here: a draft may be incomplete."""

    class Meta:
        model = Experiment
        fields = (
            "key", "name", "hypothesis", "segment", "playbook",
            "unit", "method", "seed", "coverage", "differs_outside",
        )  # fmt: skip
        error_messages: ClassVar = {"coverage": _SHARE_ERRORS}

    def clean_coverage(self) -> Decimal:
        """Return the coverage, a share."""
        return checked_share(self.cleaned_data["coverage"])

    def clean(self) -> dict[str, Any] | None:
        """Refuse no population and two of them."""
        cleaned = super().clean()
        # A started experiment shows its population and does not ask for it; and a choice that is
        # wrong in itself is told so already.
        if {"segment", "playbook"} <= self.cleaned_data.keys():
            chosen = [self.cleaned_data[name] for name in ("segment", "playbook")]
            if not any(chosen):
                self.add_error("segment", POPULATION)
            elif all(chosen):
                self.add_error("playbook", ONE_POPULATION)
        return cleaned


class ArmForm(ArmModelForm):
    """An arm among those of its experiment, which ArmFormSet compares."""

    class Meta:
        model = Arm
        fields = ("position", "key", "name", "weight", "is_control")
        error_messages: ClassVar = {"weight": _SHARE_ERRORS}

    def clean_weight(self) -> Decimal:
        """Return the weight, a share."""
        return checked_share(self.cleaned_data["weight"])

    def clean_position(self) -> int:
        """Return the position, which leaves room for parked ones."""
        position: int = self.cleaned_data["position"]
        if position > HIGHEST_POSITION:
            raise ValidationError("Number the arms 0, 1, 2.")
        return position

    def _get_validation_exclusions(self) -> set[str]:
        # Django's own comparison of the arms speaks of "duplicate data" above them all. ArmFormSet
        # compares them too, and speaks at the field.
        return {*super()._get_validation_exclusions(), "experiment"}  # type: ignore[misc]


class ArmFormSet(ArmInlineFormSet):
    """The arms of an experiment as they will be together."""

    def clean(self) -> None:
        """Refuse a second control, and a key or position that another arm has."""
        super().clean()
        kept = [form for form in self.forms if self._is_kept(form)]
        _refuse_repeated(kept, "key", ARM_KEY_ONCE)
        _refuse_repeated(kept, "position", ARM_POSITION_ONCE)
        controls = [form for form in kept if form.cleaned_data.get("is_control")]
        for form in controls[1:]:
            form.add_error("is_control", ARM_ONE_CONTROL)

    def _is_kept(self, form: ArmModelForm) -> bool:
        # A further row that nothing was written into is no arm.
        is_arm = form in self.initial_forms or form.has_changed()
        return is_arm and hasattr(form, "cleaned_data") and form not in self.deleted_forms

    def save_existing_objects(self, commit: bool = True) -> list[Arm]:
        """Save the arms that were there, which may have changed places, keys and the control."""
        if commit:
            self._park()
        return super().save_existing_objects(commit)

    def _park(self) -> None:
        # Arms are written one by one, and between two of them both would be the control. So those
        # that change first give up what only one may have, for values that no form lets in.
        changed = [form.instance.pk for form in self.initial_forms if form.has_changed()]
        for place, pk in enumerate(changed):
            Arm.objects.filter(pk=pk).update(
                is_control=False, key=f"~{pk}", position=_PARKED - place
            )


def _refuse_repeated(forms_of_arms: Sequence[ArmModelForm], name: str, sentence: str) -> None:
    seen: set[Any] = set()
    for form in forms_of_arms:
        value = form.cleaned_data.get(name)
        if value in seen:
            form.add_error(name, sentence)
        if value is not None:
            seen.add(value)
