"""Fields of our own."""

from typing import TYPE_CHECKING, Any

from django.db import models

from activity.validators import validate_mail_domain
from common.addresses import deliverable

if TYPE_CHECKING:
    _EmailField = models.EmailField[str | None, str | None]
else:
    _EmailField = models.EmailField


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
