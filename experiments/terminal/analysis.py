"""Analysis of a table with an arm and outcomes in each row, by the statistics that reports use."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from experiments.stats.balance import ALARM, SampleRatio, sample_ratio
from experiments.stats.comparison import Comparison, Outcomes, compare_arms
from experiments.stats.estimate import UNKNOWN, unknown
from experiments.stats.rates import rate_test
from experiments.stats.sufficient import Counts, Moments
from experiments.terminal.columns import read_columns
from experiments.terminal.tables import Table, TableError

KINDS = ("binary", "mean")
# Kinds that have a name already, so that asking for one is not taken for a misspelt column.
_LATER_KINDS = ("ratio=", "time=")
_MOST_ARMS = 50


@dataclass(frozen=True)
class MetricRequest:
    """A column to analyze; an empty kind means binary where all its values are 0 or 1."""

    column: str
    kind: str = ""


@dataclass(frozen=True)
class Request:
    """What to analyze."""

    arm_column: str
    control: str
    metrics: tuple[MetricRequest, ...]
    level: float = 0.95


@dataclass(frozen=True)
class MetricAnalysis:
    """One column's outcomes and comparisons; `left_out` counts each arm's rows without a value."""

    column: str
    kind: str
    outcomes: dict[str, Outcomes]
    left_out: dict[str, int]
    comparisons: list[Comparison]


@dataclass(frozen=True)
class Analysis:
    """A table's analysis: the control is the first arm."""

    request: Request
    sizes: dict[str, int]
    # Rows that belong to no arm: they are left out, and counted.
    without_arm: int
    balance: SampleRatio
    metrics: list[MetricAnalysis]


def parse_metric(text: str, *, header: Sequence[str]) -> MetricRequest:
    """Return the metric written as COL, COL:binary or COL:mean. Raise TableError otherwise.

    A column whose own name holds a colon is taken as it stands.
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
    """Return the analysis of the table's rows. Raise TableError for a cell or arm that is wrong."""
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
            f"Column '{request.arm_column}' holds {len(arms)} different values: is it the arm?"
        )
    if request.control not in arms:
        raise TableError(
            f"No row has '{request.control}' in column '{request.arm_column}', "
            f"which holds: {', '.join(arms) or 'nothing'}."
        )
    if len(arms) < 2:
        raise TableError(f"Column '{request.arm_column}' holds nothing but the control.")
    return [request.control, *(arm for arm in arms if arm != request.control)]


def _analyze_column(
    metric: MetricRequest,
    values: NDArray[np.float64],
    masks: Mapping[str, NDArray[np.bool_]],
    request: Request,
) -> MetricAnalysis:
    known = ~np.isnan(values)
    counted = values[known & np.any(list(masks.values()), axis=0)]
    kind = metric.kind or ("binary" if _zeros_and_ones(counted).all() else "mean")
    _check_kind(metric, counted)
    sums = Counts.from_array if kind == "binary" else Moments.from_array
    outcomes: dict[str, Outcomes] = {arm: sums(values[mask & known]) for arm, mask in masks.items()}
    missing = {
        arm: Counts(int((mask & ~known).sum()), int(mask.sum())) for arm, mask in masks.items()
    }
    comparisons = compare_arms(outcomes, control=request.control, level=request.level)
    return MetricAnalysis(
        metric.column,
        kind,
        outcomes,
        {arm: found.successes for arm, found in missing.items()},
        [_unless_missing(each, missing) for each in comparisons],
    )


def _unless_missing(comparison: Comparison, missing: Mapping[str, Counts]) -> Comparison:
    """Return the comparison; without its results where outcomes are missing in one arm alone."""
    lacks, control_lacks = missing[comparison.arm], missing[comparison.control]
    if not lacks.n or not control_lacks.n or rate_test(control_lacks, lacks)[1] >= ALARM:
        return comparison
    reason = (
        f"outcomes are missing in {lacks.successes:,} of {lacks.n:,} rows of {comparison.arm} and "
        f"in {control_lacks.successes:,} of {control_lacks.n:,} of {comparison.control}, so what "
        "is compared is who is missing"
    )
    level = comparison.difference.level
    nothing = unknown(UNKNOWN, level=level, reason=reason)
    return replace(comparison, difference=nothing, relative=nothing)


def _zeros_and_ones(values: NDArray[np.float64]) -> NDArray[np.bool_]:
    found: NDArray[np.bool_] = (values == 0) | (values == 1)
    return found


def _check_kind(metric: MetricRequest, values: NDArray[np.float64]) -> None:
    wrong = values[~_zeros_and_ones(values)] if metric.kind == "binary" else values[:0]
    if wrong.size:
        raise TableError(
            f"Column '{metric.column}' holds {wrong[0]:g}: a binary metric is 0 or 1 in every row."
        )
