"""Admin pages of nudges, read-only: they are written on pages of their own."""

from django.contrib import admin
from unfold.decorators import display

from activity.admin import ReadOnlyAdmin
from interventions import models


@admin.register(models.Nudge)
class NudgeAdmin(ReadOnlyAdmin):
    """What was typed for each nudge, and what was made of it."""

    list_display = ("shown_name", "segment", "saved_by", "saved_at", "made_at", "cadence")
    list_select_related = ("segment__playbook", "saved_by", "cadence")

    @display(description="Nudge")
    def shown_name(self, nudge: models.Nudge) -> str:
        """Return the name, or that it has none yet."""
        return str(nudge)
