"""Run a statement whose parameters are long lists, sent to PostgreSQL in binary form."""

from collections.abc import Mapping
from typing import Any

import psycopg
from django.db import connection


def fetch_binary(statement: str, values: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    """Run the statement on Django's connection and return its rows.

    Write placeholders as `%(name)b`. Django would write the parameters into the statement as text.
    For a batch of a thousand events that alone takes longer than a COPY of them.
    """
    connection.ensure_connection()
    with connection.wrap_database_errors, psycopg.Cursor(connection.connection) as cursor:
        return cursor.execute(statement, values).fetchall()
