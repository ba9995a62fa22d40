"""Ask for a day, and read it as people write it."""

from datetime import date
from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from activity.sheet_days import read_sheet_day


class DayField(forms.DateField):
    """A day. One that could be two, such as 9/11/2026, is refused with both.

    Django reads it as the 11th of September, which most of the world does not mean.
    """

    def to_python(self, value: Any) -> date | None:
        """Return the day. Raise ValidationError with a sentence."""
        if not isinstance(value, str) or not value.strip():
            return super().to_python(value)
        try:
            return read_sheet_day(value.strip(), order=None)
        except ValueError as error:
            raise ValidationError(str(error)) from None
