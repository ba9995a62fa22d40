"""Forms that check what is typed before it is saved."""

from interventions.forms.admin import (
    CadenceForm,
    QuietHoursForm,
    StepForm,
    StepFormSet,
    TemplateForm,
)

__all__ = ["CadenceForm", "QuietHoursForm", "StepForm", "StepFormSet", "TemplateForm"]
