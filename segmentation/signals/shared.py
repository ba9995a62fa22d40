"""Functions that several signals share. Pure."""

from collections.abc import Callable

from segmentation.signals.needs import Need
from segmentation.signals.sources import Sources
from segmentation.signals.types import Compiled, SignalRef

DAILY = frozenset({Need.DAILY})
PROGRESS = frozenset({Need.PROGRESS})
Compile = Callable[[SignalRef, Sources], Compiled]


def rate(numerator: str, denominator: str) -> str:
    """Return the quotient as a float, or null if the denominator is zero."""
    return f"({numerator})::float8 / nullif({denominator}, 0)::float8"


def sum_of(columns: str) -> Compile:
    """Return the function that compiles a signal: the sum of daily columns over its window."""

    def compiled(ref: SignalRef, sources: Sources) -> Compiled:
        total = sources.sum_of_day(f"sum({columns})", ref.window)
        return Compiled(f"coalesce({total}, 0)::bigint")

    return compiled


def days_since(latest: Callable[[Sources], str]) -> Compile:
    """Return the function that compiles exact 24-hour days since an instant or the start.

    The later one of `latest` and the enrollment's beginning counts.
    """

    def compiled(_: SignalRef, sources: Sources) -> Compiled:
        return exact_days(f"greatest({latest(sources)}, s.began_at)", sources)

    return compiled


def exact_days(anchor: str, sources: Sources) -> Compiled:
    """Return the 24-hour days since the instant, or null if that is null."""
    # Seconds first, then days: the same two roundings as total_seconds() / 86400 in Python.
    days = f"extract(epoch FROM {sources.as_of} - {anchor})::float8 / 86400"
    return Compiled(days, daily=False, anchor=anchor)
