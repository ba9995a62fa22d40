"""Forms that check what is typed before it is saved."""

from interventions.forms.admin import (
    CadenceForm,
    CategoryForm,
    CategoryTextForm,
    QuietHoursForm,
    TemplateForm,
)
from interventions.forms.channels import CourseSiteForm, WebhookEndpointForm
from interventions.forms.holdouts import HoldoutForm
from interventions.forms.limits import FrequencyCapForm
from interventions.forms.steps import StepForm, StepFormSet

__all__ = [
    "CadenceForm",
    "CategoryForm",
    "CategoryTextForm",
    "CourseSiteForm",
    "FrequencyCapForm",
    "HoldoutForm",
    "QuietHoursForm",
    "StepForm",
    "StepFormSet",
    "TemplateForm",
    "WebhookEndpointForm",
]
