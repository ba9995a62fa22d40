"""The covariates of a table as numbers: a column of numbers, or the shares of its categories."""

from collections import Counter
from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from experiments.stats.joint import LARGEST
from experiments.terminal.cells import SMALLEST, is_name, is_usable, parse_number
from experiments.terminal.labels import Labels
from experiments.terminal.tables import TableError

Floats = NDArray[np.float64]

_MOST_CATEGORIES = 20


def covariate_columns(labels: Mapping[str, Labels], *, delimiter: str) -> dict[str, Floats]:
    """Return the covariates by name, with one number per row, nan where it is missing.

    A column with a text that is no number has categories. Each category but the most frequent one
    becomes a column of 0 and 1, and "missing" is a category too. Raise TableError for a number out
    of range, and for more than 20 categories.
    """
    return {
        name: values
        for column, found in labels.items()
        for name, values in _columns(column, found, delimiter)
    }


def _columns(column: str, labels: Labels, delimiter: str) -> Iterator[tuple[str, Floats]]:
    numbers = [parse_number(name, delimiter=delimiter) for name in labels.names]
    known = [number for number in numbers if number is not None]
    if len(known) < len(numbers):
        yield from _categories(column, labels)
        return
    wrong = next((number for number in known if not is_usable(number)), None)
    if wrong is not None:
        raise TableError(
            f"Covariate '{column}' holds {wrong:g}, which is out of range. It must be 0, or "
            f"between {SMALLEST:g} and {LARGEST:g} in size."
        )
    yield column, np.array(known, dtype=np.float64)[labels.codes]


def _categories(column: str, labels: Labels) -> Iterator[tuple[str, Floats]]:
    names = [name if is_name(name) else "missing" for name in labels.names]
    if len(set(names)) > _MOST_CATEGORIES:
        raise TableError(
            f"Covariate '{column}' holds {len(set(names))} different texts. A covariate is a "
            f"number, or has at most {_MOST_CATEGORIES} categories."
        )
    sizes = Counter[str]()
    for name, size in zip(names, np.bincount(labels.codes, minlength=len(names)), strict=True):
        sizes[name] += int(size)
    for name, _ in sizes.most_common()[1:]:
        is_it = np.array([each == name for each in names])
        yield f"{column}={name}", is_it[labels.codes].astype(np.float64)
