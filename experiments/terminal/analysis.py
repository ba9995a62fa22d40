"""Analysis of a table with an arm and outcomes in each row, by the statistics of the reports."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments.reporting.figures import Figures
from experiments.stats.attrition import withholding_reason
from experiments.stats.balance import SampleRatio, sample_ratio
from experiments.stats.comparison import MEANS, RATES, Comparison, Family, compare_arms
from experiments.stats.estimate import UNKNOWN, unknown
from experiments.stats.sufficient import Counts, Moments
from experiments.stats.units import PERCENT, PLAIN
from experiments.terminal.columns import read_columns
from experiments.terminal.tables import Table, TableError

# Kinds that are to come, so that their names are not taken for misspelt columns.
_LATER_KINDS = ("ratio=", "time=")
_MOST_ARMS = 50


def _count_binary(metric: str, values: NDArray[np.float64]) -> Counts:
    wrong = values[~_zeros_and_ones(values)]
    if wrong.size:
        raise TableError(
            f"Column '{metric}' holds {wrong[0]:g}. A binary metric must be 0 or 1 in every row."
        )
    return Counts.from_array(values)


@dataclass(frozen=True)
class Kind:
    """How a column is analyzed: its sums, their family, and their form in a terminal and in JSON.

    `title` follows the column's name, and `words` follow a number in a sentence.
    """

    family: Family
    sums: Callable[[str, NDArray[np.float64]], Any]
    title: str
    words: str
    line: Callable[[Any], str]
    data: Callable[[Any], dict[str, float]]


KINDS = {
    RATES.name: Kind(
        RATES,
        _count_binary,
        title="rate",
        words="{column}",
        line=lambda found: (
            f"{found.successes:,} of {found.n:,} ({Figures(PERCENT).level(found.rate)})"
        ),
        data=lambda found: {"n": found.n, "successes": found.successes, "rate": found.rate},
    ),
    MEANS.name: Kind(
        MEANS,
        lambda _, values: Moments.from_array(values),
        title="mean",
        words="{column} on average",
        line=lambda found: f"mean {Figures(PLAIN, decimals=4).level(found.average)} of {found.n:,}",
        data=lambda found: {"n": found.n, "mean": found.average, "variance": found.variance},
    ),
}


@dataclass(frozen=True)
class MetricRequest:
    """A column to analyze. With an empty kind, a column of only 0 and 1 is binary, else a mean."""

    column: str
    kind: str = ""


@dataclass(frozen=True)
class Request:
    """The columns to analyze and the control."""

    arm_column: str
    control: str
    metrics: tuple[MetricRequest, ...]
    level: float = 0.95


@dataclass(frozen=True)
class MetricAnalysis:
    """One column's outcomes and comparisons; `left_out` counts each arm's rows without a value."""

    column: str
    kind: Kind
    outcomes: dict[str, Any]
    left_out: dict[str, int]
    comparisons: list[Comparison]


@dataclass(frozen=True)
class Analysis:
    """A table's analysis. The control is the first arm."""

    request: Request
    sizes: dict[str, int]
    # The number of rows without an arm. They are left out.
    without_arm: int
    balance: SampleRatio
    metrics: list[MetricAnalysis]


def parse_metric(text: str, *, header: Sequence[str]) -> MetricRequest:
    """Return the metric written as COL, COL:binary or COL:mean. Raise TableError otherwise.

    A text that is the full name of a column, with its colon, is that column.
    """
    column, colon, kind = text.rpartition(":")
    if not colon or text in header:
        return MetricRequest(text)
    if kind in KINDS:
        return MetricRequest(column, kind)
    if kind.startswith(_LATER_KINDS):
        raise TableError(f"'{text}': {kind.partition('=')[0]} metrics are not available yet.")
    raise TableError(f"'{text}': '{kind}' is not a kind of metric. Use :binary or :mean.")


def analyze_table(table: Table, *, request: Request) -> Analysis:
    """Return the analysis of the table's rows. Raise TableError for a wrong cell or arm."""
    names = [metric.column for metric in request.metrics]
    rows = read_columns(table, arm=request.arm_column, metrics=names, control=request.control)
    arms = _ordered_arms(rows.arms, request)
    masks = {arm: rows.of(arm) for arm in arms}
    sizes = {arm: int(mask.sum()) for arm, mask in masks.items()}
    return Analysis(
        request=request,
        sizes=sizes,
        without_arm=int((rows.codes < 0).sum()),
        balance=sample_ratio(list(sizes.values()), [1.0] * len(arms)),
        metrics=[
            _analyze_column(metric, values, masks, request)
            for metric, values in zip(request.metrics, rows.values, strict=True)
        ],
    )


def _ordered_arms(found: Iterable[str], request: Request) -> list[str]:
    arms = sorted(found)
    if len(arms) > _MOST_ARMS:
        raise TableError(
            f"Column '{request.arm_column}' holds {len(arms)} different values. Is it the column "
            "of the arm?"
        )
    if request.control not in arms:
        raise TableError(
            f"No row has '{request.control}' in column '{request.arm_column}'. "
            f"The column holds: {', '.join(arms) or 'nothing'}."
        )
    if len(arms) < 2:
        raise TableError(f"Column '{request.arm_column}' holds only the control.")
    return [request.control, *(arm for arm in arms if arm != request.control)]


def _analyze_column(
    metric: MetricRequest,
    values: NDArray[np.float64],
    masks: Mapping[str, NDArray[np.bool_]],
    request: Request,
) -> MetricAnalysis:
    known = ~np.isnan(values)
    counted = values[known & np.any(list(masks.values()), axis=0)]
    kind = KINDS[metric.kind or _kind_of(counted)]
    outcomes = {arm: kind.sums(metric.column, values[mask & known]) for arm, mask in masks.items()}
    missing = {
        arm: Counts(int((mask & ~known).sum()), int(mask.sum())) for arm, mask in masks.items()
    }
    comparisons = compare_arms(
        outcomes, family=kind.family, control=request.control, level=request.level
    )
    return MetricAnalysis(
        metric.column,
        kind,
        outcomes,
        {arm: found.successes for arm, found in missing.items()},
        [_unless_missing(each, missing) for each in comparisons],
    )


def _unless_missing(comparison: Comparison, missing: Mapping[str, Counts]) -> Comparison:
    """Return the comparison, without its results if one arm misses far more outcomes."""
    names = comparison.control, comparison.arm
    reason = withholding_reason(*(missing[name] for name in names), names=names)
    if not reason:
        return comparison
    level = comparison.difference.level
    nothing = unknown(UNKNOWN, level=level, reason=reason)
    return replace(comparison, difference=nothing, relative=nothing)


def _zeros_and_ones(values: NDArray[np.float64]) -> NDArray[np.bool_]:
    found: NDArray[np.bool_] = (values == 0) | (values == 1)
    return found


def _kind_of(values: NDArray[np.float64]) -> str:
    return (RATES if _zeros_and_ones(values).all() else MEANS).name
