"""Form fields that any app may use."""

import json
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.forms.fields import InvalidJSONInput

from common.json_text import deep_path, json_fault

# Where the sentence points to; what people type is far flatter.
MAX_DEPTH = 100


class JSONTextField(forms.JSONField):
    """JSON that a person typed. What cannot be read is shown again as it was, with a sentence."""

    def to_python(self, value: Any) -> Any:
        """Return the data. Raise ValidationError also where Django would let an error through."""
        try:
            data = super().to_python(value)
            # Half a character cannot be stored, nor be written into the page again.
            json.dumps(data, ensure_ascii=False).encode()
        except ValidationError as error:
            # Django says only that it is not JSON, and not where.
            fault = error.__context__
            if not isinstance(fault, json.JSONDecodeError):
                raise
            raise ValidationError(f"This is not JSON: {json_fault(fault)}.") from None
        except RecursionError:
            path = deep_path(value, depth=MAX_DEPTH)
            raise ValidationError(f"{path}: nested too deeply to be read.") from None
        except UnicodeEncodeError:
            raise ValidationError("This holds half a character, which cannot be stored.") from None
        except ValueError:
            raise ValidationError("This holds a number too long to be read.") from None
        return data

    def prepare_value(self, value: Any) -> Any:
        """Return the text to show: laid out over lines, for it is to be read and edited."""
        if isinstance(value, InvalidJSONInput):
            return value
        # An empty box says "nothing" to a person; the word null does not.
        if value is None:
            return ""
        return json.dumps(value, ensure_ascii=False, indent=2)

    def bound_data(self, data: Any, initial: Any) -> Any:
        """Return what to show again: the text itself, which need not be readable."""
        if self.disabled or data is None:
            return super().bound_data(data, initial)
        return InvalidJSONInput(data)

    def has_changed(self, initial: Any, data: Any) -> bool:
        """Return whether the data differ; what cannot be read does."""
        try:
            return super().has_changed(initial, data)
        except (RecursionError, ValueError):
            return True
