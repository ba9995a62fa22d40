"""The statements of a turn are planned once per connection, and anew after a migration."""

import psycopg
import pytest
from django.db import NotSupportedError, connection

from tests.interventions.factories import dispatch, make_delivery
from tests.processes import database_url

# The statements that change something: the move of deliveries, what was sent, and the event.
WRITTEN = ("interventions_delivery", "interventions_sentmessage", "activity_event")


def prepared() -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT statement FROM pg_prepared_statements")
        return [statement for (statement,) in cursor.fetchall()]


@pytest.mark.django_db
@pytest.mark.parametrize("table", WRITTEN)
def test_the_statements_of_a_turn_are_prepared(table: str) -> None:
    for _ in range(3):
        make_delivery()

    dispatch()

    assert any(f"UPDATE {table}" in each or f"INSERT INTO {table}" in each for each in prepared())


@pytest.mark.django_db(transaction=True)
def test_a_column_that_has_changed_since_postpones_no_message() -> None:
    for _ in range(3):
        make_delivery()
    dispatch()
    try:
        # The state of a running worker whose database is migrated.
        migrate("varchar(201)")
        waiting = make_delivery()
        with pytest.raises(NotSupportedError, match="cached plan"):
            dispatch()
        dispatch()
    finally:
        migrate("varchar(200)")

    waiting.refresh_from_db()
    assert [entry["state"] for entry in waiting.trace] == ["claimed", "handed_off"]


def migrate(kind: str) -> None:
    """Change a column over another connection. Over its own, psycopg would notice."""
    with psycopg.connect(database_url()) as other:
        other.execute(f"ALTER TABLE activity_learner ALTER COLUMN name TYPE {kind}")
