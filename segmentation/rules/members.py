"""The members of a trait that a rule compares: its texts or its numbers. Pure.

The compiler does the same in SQL.
"""

from decimal import Decimal
from typing import Any

# Below the largest float. A trait may be a whole number of any size, so numbers are cut to it.
LARGEST = 1e308


def texts_of(value: Any) -> list[str]:
    """Return the members as texts. Numbers are included: a rule may compare their digits."""
    return [text_of(member) for member in _members(value) if isinstance(member, str | int | float)]


def numbers_of(value: Any) -> list[float]:
    """Return the numbers among the members."""
    return [
        float(max(min(member, LARGEST), -LARGEST))
        for member in _members(value)
        if isinstance(member, int | float) and not isinstance(member, bool)
    ]


def text_of(member: str | int | float) -> str:
    """Return one text, number or boolean as text, a number without trailing zeros."""
    if isinstance(member, bool):
        return "true" if member else "false"
    if isinstance(member, float):
        # Minus zero is zero, as in the database.
        return f"{(Decimal(repr(member)) + 0).normalize():f}"
    return str(member)


def _members(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
