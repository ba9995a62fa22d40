"""A secret that is shared with another server, and the change to a new one."""

from datetime import datetime

from django.db import models

from interventions.models.field_checks import FieldCheckedModel


class SharedSecret(FieldCheckedModel):
    """A row with a secret. After a change, the old one stays valid until its instant."""

    secret = models.CharField(max_length=100, editable=False)
    old_secret = models.CharField(max_length=100, blank=True, default="", editable=False)
    old_secret_until = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        abstract = True

    def secrets_at(self, now: datetime) -> tuple[str, ...]:
        """Return the secrets that are valid, the newest first."""
        is_over = self.old_secret_until is None or self.old_secret_until <= now
        return (self.secret,) if is_over else (self.secret, self.old_secret)
