"""Create a row, or change it if it exists."""

from collections.abc import Mapping
from typing import Any, TypeVar

from django.db import transaction
from django.db.models import Model, QuerySet

Row = TypeVar("Row", bound=Model)


@transaction.atomic
def create_or_change(rows: QuerySet[Row], values: Mapping[str, Any], **key: Any) -> Row:
    """Return the row with this key after setting the values. Create it if it does not exist.

    Django's update_or_create locks FOR UPDATE. Transactions that only refer to the row, such as an
    ingest with its foreign keys, would then wait until this transaction ends.
    """
    row = rows.filter(**key).select_for_update(no_key=True).first()
    if row is None:
        row, is_new = rows.get_or_create(defaults=dict(values), **key)
        if is_new:
            return row
        # Another transaction has created it meanwhile.
        row = rows.select_for_update(no_key=True).get(pk=row.pk)
    for name, value in values.items():
        setattr(row, name, value)
    row.save(update_fields=list(values))
    return row
