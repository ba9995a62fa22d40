"""Create a row, or change it if it exists, and find a key that no row has."""

from collections.abc import Mapping
from typing import Any, TypeVar

from django.db import transaction
from django.db.models import Model, QuerySet
from django.utils.text import slugify

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


def free_key(rows: QuerySet[Any], name: str, *, fallback: str) -> str:
    """Return a key for the name that none of the rows has, such as "hello" or "hello-2".

    The caller must hold a lock under which nobody else saves such a row.
    """
    most = rows.model._meta.get_field("key").max_length - 10
    base = slugify(name)[:most].strip("-") or fallback
    taken = set(rows.filter(key__startswith=base).values_list("key", flat=True))
    numbered = (f"{base}-{number}" for number in range(2, len(taken) + 2))
    return next(key for key in (base, *numbered) if key not in taken)
