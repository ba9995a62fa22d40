"""Parts of SQL that signals, norms and the compiler share: bound parameters and times. Pure."""

from dataclasses import dataclass, field
from typing import Any


@dataclass
class Params:
    """The parameters of one statement. Values are bound, never written into the text.

    Parts of a statement with parameters of their own need different prefixes.
    """

    prefix: str = "p"
    values: dict[str, Any] = field(default_factory=dict)
    _names: dict[tuple[str, str], str] = field(default_factory=dict)

    def bind(self, value: object, cast: str) -> str:
        """Return a placeholder for the value, cast to the PostgreSQL type.

        Without the cast PostgreSQL reads 0.3 as numeric and compares it differently from Python.
        """
        # Equal scalars share a parameter. They are compared by repr, because 1 equals True. Arrays
        # are long, and each object is bound once.
        key = (str(id(value)) if isinstance(value, list) else repr(value), cast)
        name = self._names.setdefault(key, f"{self.prefix}{len(self._names)}")
        self.values[name] = value
        return f"%({name})s::{cast}"


def module_seconds(row: str) -> str:
    """Return SQL for the seconds from first touch to completion of a module, at least an hour."""
    spent = f"extract(epoch FROM {row}.first_completed_at - {row}.first_touched_at)"
    return f"greatest({spent}::float8, 3600)"


def microseconds(instant: str) -> str:
    """Return SQL for the whole microseconds of the epoch at the instant."""
    return f"(extract(epoch FROM {instant}) * 1000000)::bigint"


def median_of(array: str) -> str:
    """Return SQL for the median of a sorted array, equal to percentile_cont to the last bit.

    percentile_cont sorts every group separately. With thousands of groups of a few values, that
    takes several times as long as one sort of all.
    """
    low = f"{array}[(cardinality({array}) + 1) / 2]"
    high = f"{array}[cardinality({array}) / 2 + 1]"
    return f"({low} + 0.5 * ({high} - {low}))"


def rounded_pace(pace: str) -> str:
    """Return SQL for the pace rounded to billionths, so that its last bits do not decide ranks.

    These are the same two steps as `round(pace * 1e9) / 1e9` in Python. The type numeric would
    round ties differently.
    """
    return f"(round({pace} * 1e9::float8) / 1e9::float8)"


def indent(lines: list[str]) -> str:
    """Return the items on separate lines, so that people can read the statement in a log."""
    return ",\n        ".join(lines)
