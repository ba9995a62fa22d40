"""Form fields for any app."""

import json
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.forms.fields import InvalidJSONInput

from common.json_text import deep_path, json_fault

# The depth up to which the error message gives the path. Text that people type is much flatter.
MAX_DEPTH = 100


class JSONTextField(forms.JSONField):
    """A field for JSON that a person types. Invalid text is shown again with an error."""

    def to_python(self, value: Any) -> Any:
        """Return the data. Raise ValidationError, also for errors that Django does not handle."""
        try:
            data = super().to_python(value)
            # Half a character can neither be stored nor be shown in the page again.
            json.dumps(data, ensure_ascii=False).encode()
        except ValidationError as error:
            # Django's message does not say where the fault is.
            fault = error.__context__
            if not isinstance(fault, json.JSONDecodeError):
                raise
            raise ValidationError(f"This is not JSON: {json_fault(fault)}.") from None
        except RecursionError:
            path = deep_path(value, depth=MAX_DEPTH)
            raise ValidationError(f"{path}: nested too deeply to be read.") from None
        except UnicodeEncodeError:
            message = "This contains half a character, which cannot be stored."
            raise ValidationError(message) from None
        except ValueError:
            message = "This contains a number that is too long to be read."
            raise ValidationError(message) from None
        return data

    def prepare_value(self, value: Any) -> Any:
        """Return the JSON as indented text, so that people can read and edit it."""
        if isinstance(value, InvalidJSONInput):
            return value
        # An empty field is clearer than the word null.
        if value is None:
            return ""
        return json.dumps(value, ensure_ascii=False, indent=2)

    def bound_data(self, data: Any, initial: Any) -> Any:
        """Return the submitted text unchanged, even if it is not valid JSON."""
        if self.disabled or data is None:
            return super().bound_data(data, initial)
        return InvalidJSONInput(data)

    def has_changed(self, initial: Any, data: Any) -> bool:
        """Return whether the data have changed. Unreadable data count as changed."""
        try:
            return super().has_changed(initial, data)
        except (RecursionError, ValueError):
            return True
