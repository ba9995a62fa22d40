"""Fields of our own."""

from typing import TYPE_CHECKING, Any

from django.db import models

from activity.texts import composed
from activity.validators import validate_mail_domain, validate_traits
from common.addresses import deliverable

if TYPE_CHECKING:
    _EmailField = models.EmailField[str | None, str | None]
    _CharField = models.CharField[str, str]
    _JSONField = models.JSONField[dict[str, Any], dict[str, Any]]
else:
    _EmailField = models.EmailField
    _CharField = models.CharField
    _JSONField = models.JSONField


class MailAddressField(_EmailField):
    """An address to which mail can be sent: its domain is kept in ASCII, however it was typed."""

    default_validators = [*models.EmailField.default_validators, validate_mail_domain]

    def to_python(self, value: Any) -> Any:
        """Return the address as forms and rosters are to check it; None for an empty one."""
        given = super().to_python(value)
        # Everybody with an empty address would share one mailbox.
        return (deliverable(given) or None) if isinstance(given, str) else given

    def get_prep_value(self, value: Any) -> Any:
        """Return the address as every query and every way of saving is to use it."""
        return self.to_python(super().get_prep_value(value))


class KeyField(_CharField):
    """A text by which a row is found: kept and looked up in one spelling of Unicode."""

    def to_python(self, value: Any) -> Any:
        """Return the text as forms and rosters are to check it."""
        text = super().to_python(value)
        return composed(text) if isinstance(text, str) else text

    def get_prep_value(self, value: Any) -> Any:
        """Return the text as every query and every way of saving is to use it."""
        return self.to_python(super().get_prep_value(value))


class TraitsField(_JSONField):
    """A JSON object of what is known about somebody; nothing known is an empty one."""

    default_validators = [validate_traits]
    # Checked also where there is little to check: an empty list is no object.
    empty_values: tuple[()] = ()

    def to_python(self, value: Any) -> Any:
        """Return the object; an emptied box says that nothing is known."""
        return {} if value is None else super().to_python(value)

    def save_form_data(self, instance: models.Model, data: Any) -> None:
        """Set what a form read: nothing, where the box was emptied, is an empty object."""
        super().save_form_data(instance, self.to_python(data))
