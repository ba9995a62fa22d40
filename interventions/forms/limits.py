"""The form of a frequency cap."""

from typing import TYPE_CHECKING, Any

from django import forms
from django.core.exceptions import ValidationError

from experiments.models import Arm, ExperimentStatus
from interventions.models import FrequencyCap
from interventions.queries.limits import arm_of_stored_cap, problem_of_window

if TYPE_CHECKING:
    CapModelForm = forms.ModelForm[FrequencyCap]
else:
    CapModelForm = forms.ModelForm

_FIXED = (
    "The experiment “{}” has started with its caps as they are. A change would compare two things "
    "under one name. Stop the experiment first."
)


class FrequencyCapForm(CapModelForm):
    """A cap. That of an arm cannot be changed while its experiment runs."""

    class Meta:
        model = FrequencyCap
        fields = "__all__"

    def clean(self) -> dict[str, Any]:
        """Refuse a window too long, and a change of what arms of a running experiment receive."""
        data = super().clean() or {}
        for arm in (arm_of_stored_cap(self.instance.pk), data.get("arm")):
            if self.has_changed() and arm is not None and _runs(arm):
                raise ValidationError(_FIXED.format(arm.experiment))
        self._check_window(data)
        return data

    def _check_window(self, data: dict[str, Any]) -> None:
        window, length = data.get("window"), data.get("length")
        if window and length:
            problem = problem_of_window(FrequencyCap(window=window, length=length))
            if problem:
                self.add_error("length", problem)


def _runs(arm: Arm) -> bool:
    return arm.experiment.status == ExperimentStatus.RUNNING
