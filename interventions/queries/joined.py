"""Model objects from the rows of a statement that joins several tables."""

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connection
from django.db.models import Model
from django.db.models.base import ModelState

Convert = Callable[[Any, Any, Any], Any]


class Joined:
    """The columns of several tables in one SELECT, each with its alias, in a fixed order.

    Django can join too, but builds the statement each time. For a statement per message, that takes
    longer than the database needs.
    """

    def __init__(self, **models: type[Model]) -> None:
        self._parts = [_Part(alias, model) for alias, model in models.items()]

    @property
    def columns(self) -> str:
        """Return the column list between SELECT and FROM."""
        return ", ".join(part.columns for part in self._parts)

    def objects(self, row: Sequence[Any]) -> list[Any]:
        """Return the objects of a row, in the order of the models."""
        found, begin = [], 0
        for part in self._parts:
            end = begin + len(part.names)
            found.append(part.make(list(row[begin:end])))
            begin = end
        return found


class _Part:
    def __init__(self, alias: str, model: type[Model]) -> None:
        self._model = model
        fields = model._meta.concrete_fields
        self.names = [field.attname for field in fields]
        self.columns = ", ".join(f'{alias}."{field.column}"' for field in fields)

    @cached_property
    def _converters(self) -> list[tuple[int, Convert]]:
        fields = enumerate(self._model._meta.concrete_fields)
        # Fields such as JSON convert the value from the database.
        return [
            (index, convert)
            for index, field in fields
            for convert in field.get_db_converters(connection)
        ]

    def make(self, values: list[Any]) -> Model:
        for index, convert in self._converters:
            values[index] = convert(values[index], None, connection)
        # What `from_db` does, without the loop over all fields for a value that is missing.
        row = self._model.__new__(self._model)
        state = ModelState()
        state.adding, state.db = False, DEFAULT_DB_ALIAS
        row.__dict__.update(zip(self.names, values, strict=True), _state=state)
        return row
