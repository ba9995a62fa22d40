"""Forms that check what is typed before it is saved."""

from interventions.forms.admin import (
    CadenceForm,
    QuietHoursForm,
    StepForm,
    StepFormSet,
    TemplateForm,
)
from interventions.forms.holdouts import HoldoutForm

__all__ = [
    "CadenceForm",
    "HoldoutForm",
    "QuietHoursForm",
    "StepForm",
    "StepFormSet",
    "TemplateForm",
]
