"""Database checks that show a sentence at the field of a violation."""

from collections.abc import Collection
from typing import Any

from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.db import models

from activity.models import CourseScoped


def check(name: str, condition: models.Q, *, at: str, sentence: str) -> models.CheckConstraint:
    """Return a database check. If it is violated, forms show the sentence at the field `at`."""
    return models.CheckConstraint(
        condition=condition,
        name=name,
        violation_error_message=sentence,
        violation_error_code=at,
    )


class FieldCheckedModel(CourseScoped):
    """A model that reports violated checks at a field, not for the whole form."""

    class Meta:
        abstract = True

    def validate_constraints(self, exclude: Collection[str] | None = None) -> None:
        """Raise ValidationError like Django, but with the sentences of `check` at their fields."""
        try:
            super().validate_constraints(exclude=exclude)
        except ValidationError as error:
            raise ValidationError(self._by_field(error.error_dict)) from None

    def _by_field(self, errors: dict[str, list[ValidationError]]) -> dict[str, Any]:
        names = {field.name for field in self._meta.fields}
        placed: dict[str, Any] = {}
        for place, found in errors.items():
            for error in found:
                moves = place == NON_FIELD_ERRORS and error.code in names
                placed.setdefault(str(error.code) if moves else place, []).append(error)
        return placed
