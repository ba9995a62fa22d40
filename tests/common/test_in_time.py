"""A reading of a page ends after its time, however many statements it has."""

import pytest
from django.db import connection

from common.database import in_time

pytestmark = pytest.mark.django_db


def sleep(*seconds: float) -> str:
    with connection.cursor() as cursor:
        for each in seconds:
            cursor.execute("SELECT pg_sleep(%s)", [each])
    return "done"


def test_reading_within_its_time_is_returned() -> None:
    assert in_time(lambda: sleep(0, 0), seconds=5) == "done"


@pytest.mark.parametrize("parts", [(5,), (0.15, 0.15)], ids=["one", "several"])
def test_statements_together_end_after_the_time(parts: tuple[float, ...]) -> None:
    said = in_time(lambda: sleep(*parts), seconds=0.2)

    assert said == "The database could not answer within 0.2 seconds."
    # The transaction around it goes on, without the limit.
    assert in_time(lambda: sleep(0.25), seconds=5) == "done"


def test_statement_that_fails_is_answered_with_its_fault() -> None:
    def divide() -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1/0")

    assert in_time(divide, seconds=5) == "The database could not answer: division by zero."
