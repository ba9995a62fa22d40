"""Read the days of a spreadsheet, which writes them as its country does. Pure."""

import re
from collections.abc import Iterable
from datetime import date, datetime
from enum import StrEnum

from common.clock import read_day

_NUMBERS = re.compile(r"(\d{1,2})([./-])(\d{1,2})[./-](\d{4})")
_WORDS = ("%d %B %Y", "%d %b %Y", "%B %d %Y", "%b %d %Y")


class Order(StrEnum):
    """Which of the first two numbers of a day is the day of the month."""

    DAY_FIRST = "day first"
    MONTH_FIRST = "month first"


def order_of(texts: Iterable[str]) -> Order | None:
    """Return the order that all days of a sheet have, None if they do not show it.

    A number above 12 is no month. Points and hyphens stand only between numbers that begin with
    the day.
    """
    found = [match for match in map(_NUMBERS.fullmatch, texts) if match]
    if any(int(match[1]) > 12 or match[2] != "/" for match in found):
        return Order.DAY_FIRST
    return Order.MONTH_FIRST if any(int(match[3]) > 12 for match in found) else None


def read_sheet_day(text: str, *, order: Order | None) -> date:
    """Return the day of a cell. Raise ValueError with a sentence."""
    if match := _NUMBERS.fullmatch(text):
        return _from_numbers(text, match, order or order_of([text]))
    plain = text.replace(",", "").replace(".", "")
    for form in _WORDS:
        try:
            return read_day(datetime.strptime(plain, form).date())  # noqa: DTZ007
        except ValueError:
            continue
    return read_day(text)


def _from_numbers(text: str, match: re.Match[str], order: Order | None) -> date:
    first, second, year = int(match[1]), int(match[3]), int(match[4])
    if order is None and first != second:
        either, other = _day(text, year, second, first), _day(text, year, first, second)
        raise ValueError(
            f"'{text}' can be {either:%-d %B} or {other:%-d %B}: write it like {either:%-d %B %Y}."
        )
    if order is Order.MONTH_FIRST:
        first, second = second, first
    return _day(text, year, second, first)


def _day(text: str, year: int, month: int, day: int) -> date:
    try:
        return read_day(date(year, month, day))
    except ValueError:
        raise ValueError(f"'{text}' is not a date: write it like 2025-10-26.") from None
