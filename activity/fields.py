"""Model fields for mail addresses, keys and traits."""

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
    """An address to which mail can be sent. Its domain is always stored in ASCII."""

    default_validators = [*models.EmailField.default_validators, validate_mail_domain]

    def to_python(self, value: Any) -> Any:
        """Return the address in the form that forms and rosters check; None if it is empty."""
        given = super().to_python(value)
        # All learners with an empty address would share one mailbox.
        return (deliverable(given) or None) if isinstance(given, str) else given

    def get_prep_value(self, value: Any) -> Any:
        """Return the address in the form that queries and saved rows use."""
        return self.to_python(super().get_prep_value(value))


class KeyField(_CharField):
    """A key text, stored and looked up in one Unicode normal form (NFC)."""

    def to_python(self, value: Any) -> Any:
        """Return the text in the form that forms and rosters check."""
        text = super().to_python(value)
        return composed(text) if isinstance(text, str) else text

    def get_prep_value(self, value: Any) -> Any:
        """Return the text in the form that queries and saved rows use."""
        return self.to_python(super().get_prep_value(value))


class TraitsField(_JSONField):
    """A JSON object of facts about a learner. It is empty if nothing is known."""

    default_validators = [validate_traits]
    # Validate empty values too: an empty list is not an object.
    empty_values: tuple[()] = ()

    def to_python(self, value: Any) -> Any:
        """Return the object. An empty form field means an empty object."""
        return {} if value is None else super().to_python(value)

    def save_form_data(self, instance: models.Model, data: Any) -> None:
        """Set the value from a form. An empty form field means an empty object."""
        super().save_form_data(instance, self.to_python(data))
