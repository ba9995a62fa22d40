"""Form fields for durations and times as people write them."""

import re
from datetime import time, timedelta
from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from interventions.models import END_POSITION
from interventions.policy.durations import (
    EXAMPLES,
    DurationError,
    delay_in_words,
    duration_in_words,
    parse_delay,
    parse_duration,
)
from interventions.policy.times import TIME_EXAMPLES, TimeOfDayError, parse_time
from interventions.policy.windows import WEEK


class DurationTextField(forms.Field):
    """A duration in words, such as "3 days"."""

    def __init__(self, *, help_text: str = "", **kwargs: Any) -> None:
        super().__init__(help_text=f"{help_text} Examples: {EXAMPLES}.".strip(), **kwargs)

    def to_python(self, value: Any) -> timedelta | None:
        """Return the duration, or None if empty. Raise ValidationError with examples."""
        if value in self.empty_values or isinstance(value, timedelta):
            return value if isinstance(value, timedelta) else None
        try:
            return parse_duration(str(value))
        except DurationError as error:
            raise ValidationError(str(error)) from None

    def prepare_value(self, value: Any) -> Any:
        """Return the duration in words. Text that a person typed stays unchanged."""
        return duration_in_words(value) if isinstance(value, timedelta) else value

    def widget_attrs(self, widget: forms.Widget) -> dict[str, Any]:
        """Return one example as the placeholder of the empty field: all would be cut off."""
        return {"placeholder": "3 days"}


class LocaleField(forms.CharField):
    """A language such as de or pt-BR, kept in lower case, so that each is there once."""

    def to_python(self, value: Any) -> Any:
        """Return the language as it is kept. pt_BR is another way to write pt-BR."""
        return (super().to_python(value) or "").lower().replace("_", "-")


class DelayField(forms.CharField):
    """The delay of a message, such as "at once" or "2 days later"."""

    def to_python(self, value: Any) -> Any:
        """Return the delay. An empty field means at once."""
        try:
            return parse_delay(str(value or ""))
        except DurationError as error:
            raise ValidationError(str(error)) from None

    def prepare_value(self, value: Any) -> Any:
        """Return the delay in words. Text that a person typed stays unchanged."""
        return delay_in_words(value) if isinstance(value, timedelta) else value


class StepNumberField(forms.Field):
    """The number of a step as its row shows it, counted from 1, or "end". Empty: the next step."""

    def to_python(self, value: Any) -> int | None:
        """Return the number, END_POSITION for "end", or None if empty."""
        words = str(value or "").strip().lower()
        if not words:
            return None
        if words == "end":
            return END_POSITION
        if not re.fullmatch(r"[1-9]\d{0,3}", words, re.ASCII):
            raise ValidationError("Write the number of a later step, or “end”.")
        return int(words)

    def prepare_value(self, value: Any) -> Any:
        """Return the number as text. Text that a person typed stays unchanged."""
        return "end" if value == END_POSITION else value

    def has_changed(self, initial: Any, data: Any) -> bool:
        """Return whether the field names another step, however it is written."""
        shown = "" if initial is None else str(self.prepare_value(initial))
        return shown != str(data or "").strip().lower()


class WeekdaysField(forms.TypedMultipleChoiceField):
    """Weekdays to tick. No tick means every day."""

    def __init__(self, *, base_field: Any = None, max_length: Any = None, **kwargs: Any) -> None:
        # The first two arguments come from the array field of the model.
        kwargs.pop("min_length", None)
        super().__init__(choices=[*WEEK.items()], coerce=int, empty_value=[], **kwargs)

    def has_changed(self, initial: Any, data: Any) -> bool:
        """Return whether other days are ticked."""
        return {str(day) for day in initial or ()} != set(data or ())


class TimeOfDayField(forms.Field):
    """A time of day in words or digits, such as "9pm"."""

    def to_python(self, value: Any) -> time | None:
        """Return the time, or None if empty. Raise ValidationError with examples."""
        if value in self.empty_values or isinstance(value, time):
            return value if isinstance(value, time) else None
        try:
            return parse_time(str(value))
        except TimeOfDayError as error:
            raise ValidationError(str(error)) from None

    def prepare_value(self, value: Any) -> Any:
        """Return the time like 21:00. Text that a person typed stays unchanged."""
        return f"{value:%H:%M}" if isinstance(value, time) else value

    def has_changed(self, initial: Any, data: Any) -> bool:
        """Return whether the field means another time, however it is written."""
        return super().has_changed(self.prepare_value(initial), data)

    def widget_attrs(self, widget: forms.Widget) -> dict[str, Any]:
        """Return the examples as the placeholder of the empty field."""
        return {"placeholder": TIME_EXAMPLES}
