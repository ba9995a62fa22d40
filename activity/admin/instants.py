"""A form field for an instant that keeps the zone in which its page showed it."""

from contextlib import nullcontext
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django import forms
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.widgets import UnfoldAdminSplitDateTimeWidget

ZONE = '{0}<input type="hidden" name="{1}_2" value="{2}"><p class="text-sm">{2}</p>'


class ZonedWidget(UnfoldAdminSplitDateTimeWidget):
    """A date, a time, and the hidden name of their zone, which is shown beside them."""

    def __init__(self, attrs: dict[str, Any] | None = None) -> None:
        super().__init__(attrs)
        # The theme has no types.
        own: Any = self
        own.widgets = [*own.widgets, forms.HiddenInput()]
        own.widgets_names = [f"_{place}" for place in range(3)]

    def decompress(self, value: Any) -> list[Any]:
        """Return date, time and zone, as the page shows them."""
        shown = super().decompress(value)
        return [*shown, timezone.get_current_timezone_name()]

    def render(
        self, name: str, value: Any, attrs: dict[str, Any] | None = None, renderer: Any = None
    ) -> SafeString:
        """Return the HTML. The theme's template shows only date and time."""
        shown = super().render(name, value, attrs, renderer)
        zone = (value if isinstance(value, list) else self.decompress(value))[-1]
        return format_html(ZONE, shown, name, zone or timezone.get_current_timezone_name())


class ZonedField(forms.SplitDateTimeField):
    """An instant that is read in the zone in which it was shown.

    Lists and forms show instants in the zone of the chosen course. Somebody who chooses another
    course in a second window would otherwise move every instant of a form that is open in the first
    one.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.fields = [*self.fields, forms.CharField(required=False)]

    def clean(self, value: Any) -> Any:
        """Return the instant. A zone alone is an empty field."""
        is_empty = not value or not any(value[:2])
        return super().clean(None if is_empty else value)

    def compress(self, data_list: Any) -> Any:
        """Return the instant of the local date and time."""
        with _in_zone(data_list):
            return super().compress(data_list[:2])

    def has_changed(self, initial: Any, data: Any) -> bool:
        """Return whether it is another instant, in whatever zone it is written."""
        with _in_zone(data):
            return super().has_changed(initial, [*(data or (None, None))[:2], _current()])


def _current() -> str:
    return timezone.get_current_timezone_name()


def _in_zone(values: Any) -> Any:
    """Return a context with the posted zone, or with the current one if there is none."""
    name = values[2] if values and len(values) > 2 else None
    try:
        return timezone.override(ZoneInfo(name)) if name else nullcontext()
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return nullcontext()
