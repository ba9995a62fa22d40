"""The kinds of metrics of a table: how rows become outcomes, and how arms are compared. Pure."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments.reporting.figures import MISSING, Figures
from experiments.stats.comparison import MEANS, RATES, RATIOS, TIMES, Family, Followed
from experiments.stats.joint import LARGEST, JointMoments
from experiments.stats.ratios import ratio
from experiments.stats.sufficient import Counts, Moments
from experiments.stats.survival import LogRank, Times, log_rank, median_time
from experiments.stats.units import PLAIN
from experiments.terminal.tables import TableError
from experiments.terminal.units import Grouping

Floats = NDArray[np.float64]
# The numbers of a metric: its column, and its denominator or its event if it has one.
Parts = tuple[Floats, ...]


@dataclass(frozen=True)
class Kind:
    """A kind of metric. Its functions take the column, and the second one if it has one.

    `combine` makes one number per unit of the rows, by the rule in `rows_of_a_unit`. `check` raises
    TableError for a number that the kind does not allow. `sums` makes the sums of all arms, in
    which the family compares them. `values` is one number per unit whose mean is the arm's level,
    for adjustments and sections; None if there is no such number, and nan where an arm has none
    that can be computed with. `words` follow a number in a
    sentence, and take the names of the columns and the sums of an arm. `second_test` is a test of a
    hypothesis of its own.
    """

    family: Family
    title: str
    words: Callable[[Sequence[str], Any], str]
    rows_of_a_unit: str
    combine: Callable[[Grouping, Parts], Parts]
    check: Callable[[Sequence[str], Parts], None]
    sums: Callable[[Sequence[Parts]], Sequence[Any]]
    cells: Callable[[Any, Figures], Mapping[str, str]]
    data: Callable[[Any], Mapping[str, float]]
    values: Callable[[Parts], Floats] | None
    second_test: Callable[[Any, Any], LogRank] | None = None

    @property
    def name(self) -> str:
        """Return the name by which a command line asks for the kind."""
        return self.family.name


def are_binary(values: Floats) -> bool:
    """Return whether all numbers are 0 or 1."""
    return bool(((values == 0) | (values == 1)).all())


def _sum_of_rows(grouping: Grouping, parts: Parts) -> Parts:
    # A row counts for both columns or for neither.
    known = ~np.isnan(parts).any(axis=0)
    sums = tuple(grouping.sum(np.where(known, part, np.nan)) for part in parts)
    if any((np.abs(each) > LARGEST).any() for each in sums):
        raise TableError(f"The rows of a unit add up to more than {LARGEST:g}.")
    return sums


def _any_row(grouping: Grouping, parts: Parts) -> Parts:
    return (grouping.most(parts[0]),)


def _first_event(grouping: Grouping, parts: Parts) -> Parts:
    times, events = parts
    first = grouping.least(np.where(events > 0, times, np.nan))
    last = grouping.most(np.where(events == 0, times, np.nan))
    happened = ~np.isnan(first)
    found = np.where(happened, first, last)
    return found, np.where(np.isnan(found), np.nan, happened.astype(np.float64))


def _no_check(columns: Sequence[str], parts: Parts) -> None:
    """Allow every number."""


def _check_binary(columns: Sequence[str], parts: Parts) -> None:
    values = parts[0]
    wrong = values[~np.isnan(values) & (values != 0) & (values != 1)]
    if wrong.size:
        raise TableError(
            f"Column '{columns[0]}' holds {wrong[0]:g}. A binary metric must be 0 or 1 in every "
            "row."
        )


def _check_times(columns: Sequence[str], parts: Parts) -> None:
    times, events = parts
    if (times < 0).any():
        raise TableError(f"Column '{columns[0]}' holds {np.nanmin(times):g}. A time is at least 0.")
    wrong = events[~np.isnan(events) & (events != 0) & (events != 1)]
    if wrong.size:
        raise TableError(
            f"Column '{columns[1]}' holds {wrong[0]:g}. It must be 1 where the event happened at "
            "that time, and 0 where it had not happened up to then."
        )


def _linearized(parts: Parts) -> Floats:
    top, bottom = (part.mean() if part.size else np.nan for part in parts)
    if not bottom > 0:
        return np.full(parts[0].size, np.nan)
    r = top / bottom
    with np.errstate(over="ignore", invalid="ignore"):
        values: Floats = r + (parts[0] - r * parts[1]) / bottom
    return values if (np.abs(values) <= LARGEST).all() else np.full(values.size, np.nan)


def _followed(arms: Sequence[Parts]) -> list[Followed]:
    """Return the arms' times. They are compared up to the earliest last time of an arm.

    Beyond that time the curve of an arm is not known.
    """
    # A horizon is above 0. If all times of an arm are 0, the comparison has a reason at any other.
    horizon = min((float(times.max()) for times, _ in arms if times.size), default=0.0) or 1.0
    return [
        Followed(Times.from_array(times, events=events == 1), horizon) for times, events in arms
    ]


def _events(found: Followed) -> int:
    return sum(events for _, events, _ in found.times.counted)


def _counts_cells(found: Counts, figures: Figures) -> dict[str, str]:
    return {
        "n": f"{found.n:,}",
        "with it": f"{found.successes:,}",
        "rate": figures.level(found.rate),
    }


def _moments_cells(found: Moments, figures: Figures) -> dict[str, str]:
    spread = Figures(PLAIN, max(figures.decimals, 2)).level(found.variance**0.5)
    return {"n": f"{found.n:,}", "mean": figures.level(found.average), "sd": spread}


def _times_cells(found: Followed, figures: Figures) -> dict[str, str]:
    return {
        "n": f"{found.times.n:,}",
        "events": f"{_events(found):,}",
        "median": f"{median:g}" if (median := median_time(found.times).value) >= 0 else MISSING,
        f"mean up to {found.horizon:g}": figures.level(TIMES.level(found)),
    }


def _times_data(found: Followed) -> dict[str, float]:
    median = median_time(found.times)
    return {
        "n": found.times.n,
        "events": _events(found),
        "median": median.value,
        "median_low": median.low,
        "median_high": median.high,
        "restricted_mean": TIMES.level(found),
        "horizon": found.horizon,
    }


_KINDS = (
    Kind(
        RATES,
        title="rate",
        words=lambda columns, found: columns[0],
        rows_of_a_unit="1 if any row of the unit has 1",
        combine=_any_row,
        check=_check_binary,
        sums=lambda arms: [Counts.from_array(values) for (values,) in arms],
        cells=_counts_cells,
        data=lambda found: {"n": found.n, "successes": found.successes, "rate": found.rate},
        values=lambda parts: parts[0],
    ),
    Kind(
        MEANS,
        title="mean",
        words=lambda columns, found: f"{columns[0]} on average",
        rows_of_a_unit="the sum of the unit's rows",
        combine=_sum_of_rows,
        check=_no_check,
        sums=lambda arms: [Moments.from_array(values) for (values,) in arms],
        cells=_moments_cells,
        data=lambda found: {"n": found.n, "mean": found.average, "variance": found.variance},
        values=lambda parts: parts[0],
    ),
    Kind(
        replace(RATIOS, unit=PLAIN),
        title="ratio of totals",
        words=lambda columns, found: f"{columns[0]} per {columns[1]}",
        rows_of_a_unit="the sums of the unit's rows",
        combine=_sum_of_rows,
        check=_no_check,
        sums=lambda arms: [JointMoments.from_columns(*parts) for parts in arms],
        cells=lambda found, figures: {"n": f"{found.n:,}", "ratio": figures.level(ratio(found))},
        data=lambda found: {
            "n": found.n,
            "numerator_mean": found.column(0).average,
            "denominator_mean": found.column(1).average,
            "ratio": ratio(found),
        },
        values=_linearized,
    ),
    Kind(
        replace(TIMES, unit=PLAIN),
        title="time to the event",
        words=lambda columns, found: (
            f"{columns[0]} on average until {columns[1]}, counted up to {found.horizon:g},"
        ),
        rows_of_a_unit="the unit's first event, or its last time without one",
        combine=_first_event,
        check=_check_times,
        sums=_followed,
        cells=_times_cells,
        data=_times_data,
        values=None,
        second_test=lambda control, arm: log_rank(control.times, arm.times),
    ),
)
# The kinds by name. Those with a second column are written :ratio=COL and :time=COL.
KINDS = {kind.name: kind for kind in _KINDS}
