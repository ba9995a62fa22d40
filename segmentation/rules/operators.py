"""The operator table, the only place with an operator's SQL, Python and English. Pure."""

import operator
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Takes(StrEnum):
    """How many values an operator compares with."""

    NOTHING = "nothing"
    ONE = "one"
    TWO = "two"
    MANY = "many"


@dataclass(frozen=True, kw_only=True)
class Operator:
    """One operator.

    `sql`, `english` (for numbers) and `english_text` (for texts) are templates with `{signal}` and
    the operands `{0}`, `{1}`. Several values are one operand, an array. `python` gets the signal's
    value and the operands, with numbers as floats. It gets an unknown signal only if `sees_unknown`
    is set. Otherwise a comparison with unknown is unknown, as in SQL. `denies` is the operator that
    this one negates: for a list, no member may meet the denied operator.
    """

    symbol: str
    takes: Takes
    sql: str
    python: Callable[..., bool]
    english: str | None = None
    english_text: str | None = None
    sees_unknown: bool = False
    denies: str | None = None

    def suits(self, *, text: bool) -> bool:
        """Return whether the operator compares texts, or numbers if `text` is False."""
        return (self.english_text if text else self.english) is not None


def _between(value: float, low: float, high: float) -> bool:
    return low <= value <= high


def _compare(symbol: str, python: Callable[[Any, Any], bool], english: str) -> Operator:
    """Return an operator of numbers with the same symbol in SQL and in rules."""
    return Operator(
        symbol=symbol,
        takes=Takes.ONE,
        sql=f"{{signal}} {symbol} {{0}}",
        python=python,
        english=english,
    )


_NUMBERS = (
    _compare("<", operator.lt, "less than {0}"),
    _compare("<=", operator.le, "at most {0}"),
    _compare(">", operator.gt, "more than {0}"),
    _compare(">=", operator.ge, "at least {0}"),
    Operator(
        symbol="between",
        takes=Takes.TWO,
        sql="{signal} BETWEEN {0} AND {1}",
        python=_between,
        english="between {0} and {1}",
    ),
    Operator(
        symbol="notBetween",
        takes=Takes.TWO,
        sql="{signal} NOT BETWEEN {0} AND {1}",
        python=lambda value, low, high: not _between(value, low, high),
        english="not between {0} and {1}",
        denies="between",
    ),
)

_BOTH = (
    Operator(
        symbol="=",
        takes=Takes.ONE,
        sql="{signal} = {0}",
        python=operator.eq,
        english="exactly {0}",
        english_text="is {0}",
    ),
    Operator(
        symbol="!=",
        takes=Takes.ONE,
        sql="{signal} <> {0}",
        python=operator.ne,
        english="not {0}",
        english_text="is not {0}",
        denies="=",
    ),
    Operator(
        symbol="null",
        takes=Takes.NOTHING,
        sql="{signal} IS NULL",
        python=lambda value: value is None,
        english="is unknown",
        english_text="is unknown",
        sees_unknown=True,
    ),
    Operator(
        symbol="notNull",
        takes=Takes.NOTHING,
        sql="{signal} IS NOT NULL",
        python=lambda value: value is not None,
        english="is known",
        english_text="is known",
        sees_unknown=True,
    ),
)

_TEXTS = (
    Operator(
        symbol="in",
        takes=Takes.MANY,
        sql="{signal} = ANY({0})",
        python=lambda value, *listed: value in listed,
        english_text="is one of {0}",
    ),
    Operator(
        symbol="notIn",
        takes=Takes.MANY,
        sql="{signal} <> ALL({0})",
        python=lambda value, *listed: value not in listed,
        english_text="is none of {0}",
        denies="in",
    ),
    Operator(
        symbol="contains",
        takes=Takes.ONE,
        # Not LIKE, because a percent sign in the searched text would match any text.
        sql="strpos({signal}, {0}) > 0",
        python=lambda value, part: part in value,
        english_text="contains {0}",
    ),
)

OPERATORS = {entry.symbol: entry for entry in _BOTH + _NUMBERS + _TEXTS}
