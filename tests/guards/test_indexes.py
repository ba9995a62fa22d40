"""An index on a table that is in use is built without holding up whoever writes to it."""

import re
from collections.abc import Iterable, Iterator, Sequence
from importlib import import_module
from pathlib import Path

import pytest
from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models
from django.db.migrations.operations.base import Operation

from tests.guards.code import APPS, ROOT

# Up to these, indexes were built under a lock, on tables that were small.
BUILT_BEFORE = {
    "activity": 16,
    "segmentation": 5,
    "experiments": 3,
    "interventions": 9,
    "config": 1,
}
CREATE_INDEX = re.compile(r"create\s+(unique\s+)?index(?!\s+concurrently)", re.IGNORECASE)


def later_migrations() -> Iterator[tuple[str, type[migrations.Migration]]]:
    for app in (*APPS, "config"):
        for path in sorted((ROOT / app / "migrations").glob("[0-9]*.py")):
            if int(path.stem[:4]) > BUILT_BEFORE[app]:
                yield _loaded(app, path)


def _loaded(app: str, path: Path) -> tuple[str, type[migrations.Migration]]:
    module = import_module(f"{app}.migrations.{path.stem}")
    return f"{app}.{path.stem}", module.Migration


def faults(migration: type[migrations.Migration]) -> list[str]:
    """Return what the migration builds while others wait for the table."""
    parts = list(flat(migration.operations))
    new = {part.name.lower() for part in parts if isinstance(part, migrations.CreateModel)}
    found = [words for part in parts if (words := locks(part, new))]
    if migration.atomic and any(isinstance(part, AddIndexConcurrently) for part in parts):
        found.append("AddIndexConcurrently needs atomic = False")
    return found


def flat(operations: Iterable[Operation]) -> Iterator[Operation]:
    for part in operations:
        if isinstance(part, migrations.SeparateDatabaseAndState):
            yield from flat(part.database_operations)
        else:
            yield part


def locks(part: Operation, new: set[str]) -> str:
    """Return what is wrong with the operation; nothing for tables that it finds empty."""
    table = getattr(part, "model_name", "")
    if table and table.lower() in new:
        return ""
    match part:
        case AddIndexConcurrently():
            return ""
        case migrations.AddIndex():
            return f"{part.index.name}: take AddIndexConcurrently"
        case migrations.AddField() if has_index(part.field):
            return f"{part.name}: add it without an index, then the index concurrently"
        case migrations.RunSQL() if CREATE_INDEX.search(sql_of(part)):
            return "CREATE INDEX without CONCURRENTLY"
    return ""


def has_index(field: models.Field) -> bool:
    return field.unique or field.db_index


def sql_of(part: migrations.RunSQL) -> str:
    if isinstance(part.sql, str):
        return part.sql
    texts: Sequence[object] = part.sql
    return "\n".join(one if isinstance(one, str) else str(one[0]) for one in texts)


@pytest.mark.parametrize(
    "migration", [pytest.param(found, id=name) for name, found in later_migrations()]
)
def test_index_on_a_table_in_use_is_built_concurrently(
    migration: type[migrations.Migration],
) -> None:
    assert faults(migration) == []


def test_there_are_migrations_to_look_at() -> None:
    assert list(later_migrations())


INDEX = models.Index(fields=["state"], name="delivery_state")
NEW_TABLE = migrations.CreateModel("Delivery", [("id", models.BigAutoField(primary_key=True))])


@pytest.mark.parametrize(
    "planted",
    [
        migrations.AddIndex("delivery", INDEX),
        migrations.AddField("delivery", "state", models.CharField(max_length=9, db_index=True)),
        migrations.AddField("delivery", "step", models.ForeignKey("x.Step", models.CASCADE)),
        migrations.RunSQL("CREATE INDEX delivery_state ON interventions_delivery (state)"),
        migrations.RunSQL([("CREATE UNIQUE INDEX one ON interventions_delivery (id)", None)]),
        migrations.SeparateDatabaseAndState([migrations.AddIndex("delivery", INDEX)], []),
    ],
    ids=lambda part: type(part).__name__,
)
def test_planted_violation_is_found(planted: Operation) -> None:
    migration = type("Migration", (migrations.Migration,), {"operations": [planted]})

    assert len(faults(migration)) == 1


def test_concurrent_building_in_a_transaction_is_found() -> None:
    operations = [AddIndexConcurrently("delivery", INDEX)]

    inside = type("Migration", (migrations.Migration,), {"operations": operations})
    outside = type("Migration", (inside,), {"atomic": False})

    assert faults(inside) == ["AddIndexConcurrently needs atomic = False"]
    assert faults(outside) == []


def test_index_of_a_table_that_is_new_is_no_fault() -> None:
    operations = [NEW_TABLE, migrations.AddIndex("delivery", INDEX)]

    assert faults(type("Migration", (migrations.Migration,), {"operations": operations})) == []
