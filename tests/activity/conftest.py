"""Fixtures of the activity tests."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection


@pytest.fixture
def django_cursor(db: None) -> Iterator[Any]:
    """Return a cursor on the test database."""
    with connection.cursor() as cursor:
        yield cursor
