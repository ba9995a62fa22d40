"""Rows that are made where they are missing and changed where they are there."""

from collections.abc import Mapping
from typing import Any, TypeVar

from django.db import transaction
from django.db.models import Model, QuerySet

Row = TypeVar("Row", bound=Model)


@transaction.atomic
def create_or_change(rows: QuerySet[Row], values: Mapping[str, Any], **key: Any) -> Row:
    """Return the row of this key with these values, made if there is none.

    Django's update_or_create locks FOR UPDATE: everybody who only refers to the row, as an ingest
    does with its foreign keys, would wait until this transaction ends.
    """
    row = rows.filter(**key).select_for_update(no_key=True).first()
    if row is None:
        row, is_new = rows.get_or_create(defaults=dict(values), **key)
        if is_new:
            return row
        # Somebody made it in between.
        row = rows.select_for_update(no_key=True).get(pk=row.pk)
    for name, value in values.items():
        setattr(row, name, value)
    row.save(update_fields=list(values))
    return row
