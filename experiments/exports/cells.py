"""The cells in which a row of a file holds an outcome of each kind. Pure."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from experiments.metrics.definitions import Metric

# The numbers of an assignment in the columns of one outcome.
Numbers = Sequence[Any]


@dataclass(frozen=True)
class Cell:
    """A column of an outcome: what follows the outcome's key in its name, and its meaning."""

    suffix: str
    meaning: str
    unit: str
    missing: str


@dataclass(frozen=True)
class Form:
    """The cells of one kind of outcome, and their texts from the outcome and its numbers."""

    cells: tuple[Cell, ...]
    texts: Callable[[Any, Numbers], tuple[str, ...]]

    @property
    def blank(self) -> tuple[str, ...]:
        """Return the texts of a learner who is not counted."""
        return ("",) * len(self.cells)


_WAITS = "not counted yet"


def _rate(outcome: Any, numbers: Numbers) -> tuple[str, ...]:
    return (str(outcome.value(numbers[0])),)


def _plain(_: Any, numbers: Numbers) -> tuple[str, ...]:
    return tuple("" if number is None else str(number) for number in numbers)


def _time(_: Any, numbers: Numbers) -> tuple[str, ...]:
    until, followed = numbers
    # As in the outcome: an event in the hour that has not ended counts in the next report.
    is_event = until is not None and until <= followed
    return str(until if is_event else followed), str(int(is_event))


_RATE = Form((Cell("", "1 if it applies to the learner, else 0", "0 or 1", _WAITS),), _rate)
_MEAN = Form((Cell("", "the learner's number", "number", _WAITS),), _plain)

# By the kind of the outcome.
FORMS = {
    "happened": _RATE,
    "inactive": _RATE,
    "left": _RATE,
    "total": _MEAN,
    "days_active": _MEAN,
    "pass_rate": Form(
        (
            Cell("_passed", "scored quiz attempts that were passed", "number", _WAITS),
            Cell("_scored", "all scored quiz attempts", "number", _WAITS),
        ),
        _plain,
    ),
    "time_to": Form(
        (
            Cell("_hours", "hours from the draw until it happened, or as followed", "hours", ""),
            Cell("_happened", "1 if it happened, 0 if it had not by then", "0 or 1", ""),
        ),
        _time,
    ),
    "adjusted": Form(
        (
            Cell("", "the learner's number", "number", _WAITS),
            Cell(
                "_before",
                "the same number in a window of the same length that ends at the draw",
                "number",
                f"{_WAITS}, or enrolled for less than the window before the draw",
            ),
        ),
        _plain,
    ),
}  # fmt: skip


def form_of(metric: Metric) -> Form:
    """Return the form of the metric's kind of outcome."""
    return FORMS[metric.outcome.kind]


def names_of(metric: Metric) -> Iterator[str]:
    """Yield the names of the metric's columns."""
    return (f"{metric.key}{cell.suffix}" for cell in form_of(metric).cells)
