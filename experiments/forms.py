"""Admin forms of experiments and arms. They show each error at the field that causes it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any, ClassVar

from django import forms
from django.core.exceptions import ValidationError
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget, UnfoldAdminTextareaWidget

from experiments.analyses import (
    NEEDS_RATE,
    NO_LOOKS,
    NO_SUBGROUPS,
    RATE_OUTCOMES,
    USUAL_PRIMARY,
    outcome_choices,
    read_guardrails,
    read_looks,
    read_subgroups,
)
from experiments.covariates import read_covariates
from experiments.design import (
    ADAPTIVE,
    BLOCKS,
    CLUSTER,
    ENROLLMENT,
    FEWEST_IN_BATCH,
    LEAST_FLOOR,
    ONE_ARM,
    SECTION,
    Adapting,
)
from experiments.models import ARM_KEY_ONCE, ARM_ONE_CONTROL, ARM_POSITION_ONCE, Arm, Experiment

if TYPE_CHECKING:
    ExperimentModelForm = forms.ModelForm[Experiment]
    ArmModelForm = forms.ModelForm[Arm]
    ArmInlineFormSet = forms.BaseInlineFormSet[Arm, Experiment, ArmModelForm]
else:
    ExperimentModelForm = ArmModelForm = forms.ModelForm
    ArmInlineFormSet = forms.BaseInlineFormSet

SHARE = "Write a share from 0 to 1, such as 0.5 for half."
# Django checks the number of digits first. Without this, 50 (for 50 %) would give an error about
# digits.
_SHARE_ERRORS = dict.fromkeys(("max_digits", "max_whole_digits"), SHARE)
POPULATION = "Choose a segment or a playbook. The experiment draws its members."
ONE_POPULATION = "Choose a segment or a playbook, not both."
# Only an adaptive draw uses these fields, and the page hides them for other draws. An empty one has
# the value that stands here.
_USUAL_ADAPTING = {
    "burn_in": Adapting.burn_in,
    "share_batch": Adapting.batch,
    "share_floor": Decimal(str(Adapting.floor)),
}
ADAPTING_FIELDS = tuple(_USUAL_ADAPTING)
# The highest number that the column holds, far above the position of any arm.
_PARKED = 32767
HIGHEST_POSITION = 1000


def checked_share(value: Decimal) -> Decimal:
    """Return the share. Raise ValidationError if it is outside 0..1."""
    if not 0 <= value <= 1:
        raise ValidationError(SHARE)
    return value


class ExperimentForm(ExperimentModelForm):
    """An experiment. A draft may be incomplete, so the form does not check whether it can start."""

    class Meta:
        model = Experiment
        fields = (
            "key", "name", "hypothesis", "segment", "playbook",
            "method", "strata", "block_sizes", "section_rule",
            *ADAPTING_FIELDS,
            "coverage", "differs_outside", "seed",
            "layer", "layer_start", "layer_end", "excludes_reached",
            "ends_at", "most_learners", "most_sections", "afterwards", "afterwards_arm",
            "primary_outcome", "other_outcomes", "guardrails", "smallest_lift",
            "expected_learners", "looks", "subgroups",
        )  # fmt: skip
        error_messages: ClassVar = dict.fromkeys(
            ("coverage", "share_floor", "layer_start", "layer_end"), _SHARE_ERRORS
        )
        widgets: ClassVar = {
            name: UnfoldAdminTextareaWidget(attrs={"rows": rows})
            for name, rows in (("strata", 3), ("guardrails", 4), ("looks", 3), ("subgroups", 2))
        }

    other_outcomes = forms.MultipleChoiceField(
        choices=outcome_choices,
        required=False,
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
        help_text=Experiment._meta.get_field("other_outcomes").help_text,
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # They are missing in a started experiment, whose design is read-only.
        for name in self.fields.keys() & set(ADAPTING_FIELDS):
            self.fields[name].required = False

    def clean_guardrails(self) -> str:
        """Return the guardrails if each line can be read."""
        return self._readable("guardrails", read_guardrails)

    def clean_looks(self) -> str:
        """Return the planned looks if each line can be read."""
        return self._readable("looks", lambda text: read_looks(text, zone="UTC"))

    def clean_subgroups(self) -> str:
        """Return the parts if there are not too many."""
        return self._readable("subgroups", read_subgroups)

    def _readable(self, name: str, read: Callable[[str], object]) -> str:
        text: str = self.cleaned_data[name]
        try:
            read(text)
        except ValueError as error:
            raise ValidationError(str(error)) from error
        # Browsers send other line ends than the ones that are stored.
        return "\n".join(text.splitlines())

    def clean_strata(self) -> str:
        """Return the strata if each line can be read."""
        return self._readable("strata", read_covariates)

    def clean_coverage(self) -> Decimal:
        """Return the coverage if it is a share."""
        return checked_share(self.cleaned_data["coverage"])

    def clean(self) -> dict[str, Any] | None:
        """Refuse an experiment without a population or with two, and a design that cannot be."""
        cleaned = super().clean()
        if "method" in self.cleaned_data:
            is_cluster = self.cleaned_data["method"] == CLUSTER
            self.instance.unit = SECTION if is_cluster else ENROLLMENT
            self._settle_adapting()
            found = self.cleaned_data
            for name, sentence in (*design_faults(found), *adapting_faults(found)):
                self.add_error(name, sentence)
        # Both names are missing in a started experiment, whose population is read-only. One is
        # missing where the field has an error of its own.
        if {"segment", "playbook"} <= self.cleaned_data.keys():
            chosen = [self.cleaned_data[name] for name in ("segment", "playbook")]
            if not any(chosen):
                self.add_error("segment", POPULATION)
            elif all(chosen):
                self.add_error("playbook", ONE_POPULATION)
        return cleaned

    def _settle_adapting(self) -> None:
        """Put the default where a number of an adaptive draw is empty.

        For another draw nobody sees these numbers, so what is typed there is passed over.
        """
        is_adaptive = self.cleaned_data["method"] == ADAPTIVE
        for name, usual in _USUAL_ADAPTING.items():
            if not is_adaptive:
                self.errors.pop(name, None)
                self.cleaned_data[name] = getattr(self.instance, name)
            elif name not in self.errors and self.cleaned_data.get(name) is None:
                self.cleaned_data[name] = usual


def adapting_faults(found: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the fields that an adaptive draw cannot have, each with a sentence."""
    if found["method"] != ADAPTIVE:
        return
    for name in ("burn_in", "share_batch"):
        number = found.get(name)
        if number is not None and number < FEWEST_IN_BATCH:
            yield name, f"Write at least {FEWEST_IN_BATCH}, so that each batch has every arm."
    floor = found.get("share_floor")
    if floor is not None and not LEAST_FLOOR <= floor < 1:
        yield "share_floor", f"Write a share from {LEAST_FLOOR:g} on, such as 0.1."
    if found.get("primary_outcome", USUAL_PRIMARY) not in RATE_OUTCOMES:
        yield "primary_outcome", NEEDS_RATE
    if found.get("looks"):
        yield "looks", NO_LOOKS
    if found.get("subgroups"):
        yield "subgroups", NO_SUBGROUPS


def design_faults(found: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the fields of a draft that contradict each other, each with a sentence."""
    method, layer = found["method"], found.get("layer")
    if found.get("strata") and method != BLOCKS:
        yield "strata", "Choose balanced blocks, or leave the strata empty."
    if found.get("most_sections") is not None and method != CLUSTER:
        yield "most_sections", "Choose whole sections, or leave this empty."
    for name in ("most_learners", "most_sections"):
        if found.get(name) == 0:
            yield name, "Write at least 1, or leave it empty."
    start, end = found.get("layer_start"), found.get("layer_end")
    # An end that is no share has an error of its own.
    is_read = {"layer_start", "layer_end"} <= found.keys()
    if layer and is_read and (start is None or end is None or not 0 <= start < end <= 1):
        yield "layer_start", "Write the part of the layer as two shares, such as 0 and 0.5."
    if not layer and not (start is None and end is None):
        yield "layer", "Choose a layer, or leave its part empty."
    if (found.get("afterwards") == ONE_ARM) != bool(found.get("afterwards_arm")):
        yield "afterwards_arm", "Name the arm that everybody gets after the end, and only then."


class ArmForm(ArmModelForm):
    """One arm of an experiment. ArmFormSet compares the arms."""

    class Meta:
        model = Arm
        fields = ("position", "key", "name", "weight", "is_control")
        error_messages: ClassVar = {"weight": _SHARE_ERRORS}

    def clean_weight(self) -> Decimal:
        """Return the weight if it is a share."""
        return checked_share(self.cleaned_data["weight"])

    def clean_position(self) -> int:
        """Return the position. High positions are reserved for arms that ArmFormSet parks."""
        position: int = self.cleaned_data["position"]
        if position > HIGHEST_POSITION:
            raise ValidationError("Number the arms 0, 1, 2.")
        return position

    def _get_validation_exclusions(self) -> set[str]:
        # Django's own check says "duplicate data" above all arms. ArmFormSet makes the same
        # check and says so at the field.
        return {*super()._get_validation_exclusions(), "experiment"}  # type: ignore[misc]


class ArmFormSet(ArmInlineFormSet):
    """All arms of an experiment, checked together."""

    def clean(self) -> None:
        """Refuse a second control, a repeated key and a repeated position."""
        super().clean()
        kept = [form for form in self.forms if self._is_kept(form)]
        _refuse_repeated(kept, "key", ARM_KEY_ONCE)
        _refuse_repeated(kept, "position", ARM_POSITION_ONCE)
        controls = [form for form in kept if form.cleaned_data.get("is_control")]
        for form in controls[1:]:
            form.add_error("is_control", ARM_ONE_CONTROL)

    def _is_kept(self, form: ArmModelForm) -> bool:
        # An empty extra row is not an arm.
        is_arm = form in self.initial_forms or form.has_changed()
        return is_arm and hasattr(form, "cleaned_data") and form not in self.deleted_forms

    def save_existing_objects(self, commit: bool = True) -> list[Arm]:
        """Save existing arms, which may have swapped positions, keys or the control."""
        if commit:
            self._park()
        return super().save_existing_objects(commit)

    def _park(self) -> None:
        # Arms are saved one by one, so in between two could be the control. First each changed arm
        # gets unique values that no form accepts.
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
