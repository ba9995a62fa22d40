"""The form of a holdout, which cannot begin or end in the past."""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from django import forms
from django.core.exceptions import ValidationError

from common.clock import utc_now
from interventions.models import Holdout

if TYPE_CHECKING:
    HoldoutModelForm = forms.ModelForm[Holdout]
else:
    HoldoutModelForm = forms.ModelForm

# The time in which somebody fills in the form.
GRACE = timedelta(hours=1)


class HoldoutForm(HoldoutModelForm):
    """A holdout. What the draw depends on is fixed by the admin page once it has begun."""

    class Meta:
        model = Holdout
        fields = ("name", "course", "share", "starts_at", "ends_at", "seed")

    def clean_starts_at(self) -> datetime | None:
        """Refuse a beginning in the past, because learners may have had messages since then."""
        at: datetime | None = self.cleaned_data["starts_at"]
        if at and "starts_at" in self.changed_data and at < utc_now() - GRACE:
            raise ValidationError(
                "This lies in the past. Learners may have received messages since then, so they "
                "were not held out. Write a time from now on."
            )
        return at

    def clean_ends_at(self) -> datetime | None:
        """Refuse an end in the past, because messages were held back until now."""
        at: datetime | None = self.cleaned_data["ends_at"]
        if at and "ends_at" in self.changed_data and at < utc_now() - GRACE:
            raise ValidationError(
                "This lies in the past, but messages were held back until now. Write a time from "
                "now on."
            )
        return at
