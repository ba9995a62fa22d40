"""An index on a table in use is built without blocking writers."""

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from functools import cache
from importlib import import_module

import pytest
from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.operations.base import Operation

from tests.guards.code import APPS, ROOT

# Up to these migrations, indexes were built under a lock, on small tables.
BUILT_BEFORE = {
    "activity": 16,
    "segmentation": 5,
    "experiments": 3,
    "interventions": 9,
    "config": 1,
}
CREATE_INDEX = re.compile(
    r"create\s+(?:unique\s+)?index(?!\s+concurrently)\s+\w+\s+on\s+(\w+)", re.IGNORECASE
)
CREATE_TABLE = re.compile(r"create\s+table\s+(\w+)", re.IGNORECASE)


# A model and a field, both in lower case.
Column = tuple[str, str]


def later_migrations() -> Iterator[tuple[str, str]]:
    for app in (*APPS, "config"):
        for path in sorted((ROOT / app / "migrations").glob("[0-9]*.py")):
            if int(path.stem[:4]) > BUILT_BEFORE[app]:
                yield app, path.stem


@cache
def loader() -> MigrationLoader:
    """Return what has loaded all migrations, once for all of them."""
    return MigrationLoader(None)


def indexed_before(app: str, name: str) -> set[Column]:
    """Return the columns that have an index before the migration."""
    state = loader().project_state((app, name), at_end=False)
    return {
        (model.name_lower, field)
        for (label, _), model in state.models.items()
        if label == app
        for field, column in model.fields.items()
        if has_index(column)
    }


def faults(migration: type[migrations.Migration], *, indexed: Collection[Column] = ()) -> list[str]:
    """Return the indexes that the migration builds while others wait for the table.

    `indexed` are the columns that have an index before it.
    """
    parts = list(flat(migration.operations))
    new = {part.name.lower() for part in parts if isinstance(part, migrations.CreateModel)}
    found = [words for part in parts if (words := locks(part, new, indexed))]
    if migration.atomic and any(isinstance(part, AddIndexConcurrently) for part in parts):
        found.append("AddIndexConcurrently needs atomic = False")
    return found


def flat(operations: Iterable[Operation]) -> Iterator[Operation]:
    for part in operations:
        if isinstance(part, migrations.SeparateDatabaseAndState):
            yield from flat(part.database_operations)
        else:
            yield part


def locks(part: Operation, new: set[str], indexed: Collection[Column]) -> str:
    """Return the fault of the operation, or nothing for tables that are empty."""
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
        case migrations.AlterField() if has_index(part.field):
            is_new = (table.lower(), part.name.lower()) not in indexed
            return f"{part.name}: build the index concurrently" if is_new else ""
        case migrations.AddConstraint() if isinstance(part.constraint, models.UniqueConstraint):
            return f"{part.constraint.name}: build its index concurrently, then add it USING INDEX"
        case migrations.RunSQL() if builds_on_a_table_in_use(sql_of(part)):
            return "CREATE INDEX without CONCURRENTLY"
    return ""


def builds_on_a_table_in_use(sql: str) -> bool:
    """Return whether the SQL builds an index on a table that it does not make itself."""
    return bool(set(CREATE_INDEX.findall(sql)) - set(CREATE_TABLE.findall(sql)))


def has_index(field: models.Field) -> bool:
    return field.unique or field.db_index


def sql_of(part: migrations.RunSQL) -> str:
    if isinstance(part.sql, str):
        return part.sql
    texts: Sequence[object] = part.sql
    return "\n".join(one if isinstance(one, str) else str(one[0]) for one in texts)


@pytest.mark.parametrize(("app", "name"), list(later_migrations()))
def test_index_on_a_table_in_use_is_built_concurrently(app: str, name: str) -> None:
    migration = import_module(f"{app}.migrations.{name}").Migration

    assert faults(migration, indexed=indexed_before(app, name)) == []


def test_there_are_migrations_to_look_at() -> None:
    assert list(later_migrations())


INDEX = models.Index(fields=["state"], name="delivery_state")
ONCE = models.UniqueConstraint(fields=["state"], name="delivery_once")
NEW_TABLE = migrations.CreateModel("Delivery", [("id", models.BigAutoField(primary_key=True))])


@pytest.mark.parametrize(
    "planted",
    [
        migrations.AddIndex("delivery", INDEX),
        migrations.AddField("delivery", "state", models.CharField(max_length=9, db_index=True)),
        migrations.AlterField("delivery", "state", models.CharField(max_length=9, unique=True)),
        migrations.AddConstraint("delivery", ONCE),
        migrations.AddField("delivery", "step", models.ForeignKey("x.Step", models.CASCADE)),
        migrations.RunSQL("CREATE INDEX delivery_state ON interventions_delivery (state)"),
        migrations.RunSQL([("CREATE UNIQUE INDEX one ON interventions_delivery (id)", None)]),
        migrations.RunSQL(
            "CREATE TABLE a (b int); CREATE INDEX c ON a (b); CREATE INDEX d ON e (b)"
        ),
        migrations.SeparateDatabaseAndState([migrations.AddIndex("delivery", INDEX)], []),
    ],
    ids=lambda part: type(part).__name__,
)
def test_planted_violation_is_found(planted: Operation) -> None:
    migration = type("Migration", (migrations.Migration,), {"operations": [planted]})

    assert len(faults(migration)) == 1


def test_changed_texts_of_an_indexed_column_are_allowed() -> None:
    words = models.CharField(max_length=9, unique=True, help_text="Where it is.")
    operations = [migrations.AlterField("delivery", "state", words)]
    migration = type("Migration", (migrations.Migration,), {"operations": operations})

    assert faults(migration, indexed={("delivery", "state")}) == []


def test_concurrent_building_in_a_transaction_is_found() -> None:
    operations = [AddIndexConcurrently("delivery", INDEX)]

    inside = type("Migration", (migrations.Migration,), {"operations": operations})
    outside = type("Migration", (inside,), {"atomic": False})

    assert faults(inside) == ["AddIndexConcurrently needs atomic = False"]
    assert faults(outside) == []


def test_index_of_a_new_table_is_allowed() -> None:
    operations = [NEW_TABLE, migrations.AddIndex("delivery", INDEX)]

    assert faults(type("Migration", (migrations.Migration,), {"operations": operations})) == []
