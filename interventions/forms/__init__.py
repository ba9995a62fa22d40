"""Forms that check what is typed before it is saved."""

from interventions.forms.admin import CadenceForm, QuietHoursForm, TemplateForm
from interventions.forms.holdouts import HoldoutForm
from interventions.forms.steps import StepForm, StepFormSet

__all__ = [
    "CadenceForm",
    "HoldoutForm",
    "QuietHoursForm",
    "StepForm",
    "StepFormSet",
    "TemplateForm",
]
