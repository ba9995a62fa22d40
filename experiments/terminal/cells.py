"""The meaning of single cells of a CSV file: numbers, words and missing values. Pure."""

import re
from math import isnan

import numpy as np
from numpy.typing import NDArray

from experiments.stats.joint import LARGEST

# Outside this and LARGEST the sum of squares of a billion outcomes exceeds the range of a float.
SMALLEST = 1e-100

_WORDS = {"true": 1.0, "false": 0.0, "yes": 1.0, "no": 0.0}
_MISSING = frozenset({"", "na", "n/a", "nan", "null", "none"})
# "none" can be the name of an arm that got nothing.
_NO_NAME = _MISSING - {"none"}
# Python's float() would also accept 1_000 and the digits of every script.
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_DECIMAL_COMMA = re.compile(r"[+-]?\d*,\d+", re.ASCII)


def parse_number(cell: str, *, delimiter: str = ",") -> float | None:
    """Return the number in a cell, nan for a missing value, or None for any other text.

    The words true and yes are 1, false and no are 0. With the delimiter ";" a comma is a decimal
    mark.
    """
    word = cell.lower()
    if word in _MISSING:
        return float("nan")
    if word in _WORDS:
        return _WORDS[word]
    if delimiter == ";" and _DECIMAL_COMMA.fullmatch(cell):
        cell = cell.replace(",", ".")
    return float(cell) if _NUMBER.fullmatch(cell) else None


def is_name(cell: str) -> bool:
    """Return whether the cell names something, such as an arm, and is not empty or missing."""
    return cell.lower() not in _NO_NAME


def is_usable(value: float) -> bool:
    """Return whether the number can be computed with. A missing one, nan, can."""
    return not value or isnan(value) or SMALLEST <= abs(value) <= LARGEST


def in_range(values: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return for each number of an array whether it `is_usable`."""
    size = np.abs(values)
    within = (size >= SMALLEST) & (size <= LARGEST)
    usable: NDArray[np.bool_] = np.isnan(values) | (values == 0) | within
    return usable
