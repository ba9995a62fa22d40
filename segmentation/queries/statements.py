"""Run the statements of the compiler, and add the learners to them."""

# Every value is bound; only texts from the compiler are put into the statement.
# ruff: noqa: S608

from collections.abc import Iterator
from typing import Any

from django.db import connection

from segmentation.compiler import Reading


def with_learners(reading: Reading, columns: list[str]) -> str:
    """Return a SELECT of enrollment, external id and the columns, for those in scope."""
    wanted = ", ".join(["x.enrollment_id", "learner.external_id", *(f'x."{c}"' for c in columns)])
    return f"""
        SELECT {wanted}
        FROM ({reading.sql}) x
        JOIN activity_enrollment enrollment ON enrollment.id = x.enrollment_id
        JOIN activity_learner learner ON learner.id = enrollment.learner_id
        WHERE x.in_scope"""


def fetched(sql: str, params: dict[str, Any]) -> Iterator[tuple[Any, ...]]:
    """Yield the rows of the statement."""
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        yield from cursor.fetchall()
