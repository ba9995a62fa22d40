"""Analysis of a table with an arm and outcomes in each row, by the statistics that reports use."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from math import isfinite

from experiments.stats.balance import SampleRatio, sample_ratio
from experiments.stats.comparison import Comparison, Outcomes, compare_arms
from experiments.stats.sufficient import Counts, Moments
from experiments.tables import Table, TableError

KINDS = ("binary", "mean")
# Kinds that have a name already, so that asking for one is not taken for a misspelt column.
_LATER_KINDS = ("ratio=", "time=")
_WORDS = {"true": 1.0, "false": 0.0, "yes": 1.0, "no": 0.0}
_MISSING = frozenset({"", "na", "n/a", "nan", "null", "none"})
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
    balance: SampleRatio
    metrics: list[MetricAnalysis]


@dataclass
class _Column:
    """A metric's values as they are read."""

    request: MetricRequest
    values: dict[str, list[float]] = field(default_factory=dict)
    left_out: dict[str, int] = field(default_factory=dict)

    def add(self, arm: str, cell: str, line: int) -> None:
        values = self.values.setdefault(arm, [])
        if cell.lower() in _MISSING:
            self.left_out[arm] = self.left_out.get(arm, 0) + 1
            return
        values.append(self._number(cell, line))

    def _number(self, cell: str, line: int) -> float:
        value = _WORDS.get(cell.lower())
        value = _parse(cell) if value is None else value
        if value is None:
            raise TableError(
                f"Line {line}: '{cell}' in column '{self.request.column}' is not a number."
            )
        if self.request.kind == "binary" and value not in (0.0, 1.0):
            raise TableError(
                f"Line {line}: '{cell}' in column '{self.request.column}' is not 0 or 1, "
                "as a binary metric must be."
            )
        return value

    @property
    def kind(self) -> str:
        if self.request.kind:
            return self.request.kind
        found = {value for values in self.values.values() for value in values}
        return "binary" if found <= {0.0, 1.0} else "mean"


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
    columns = [_Column(metric) for metric in request.metrics]
    names = [request.arm_column, *(metric.column for metric in request.metrics)]
    sizes: dict[str, int] = {}
    for line, (arm, *cells) in table.cells(names):
        if not arm:
            raise TableError(f"Line {line} has no arm in column '{request.arm_column}'.")
        sizes[arm] = sizes.get(arm, 0) + 1
        for column, cell in zip(columns, cells, strict=True):
            column.add(arm, cell, line)
    arms = _ordered_arms(sizes, request)
    return Analysis(
        request=request,
        sizes={arm: sizes[arm] for arm in arms},
        balance=sample_ratio([sizes[arm] for arm in arms], [1.0] * len(arms)),
        metrics=[_analyze_column(column, arms, request) for column in columns],
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


def _analyze_column(column: _Column, arms: Sequence[str], request: Request) -> MetricAnalysis:
    kind = column.kind
    sums = Counts.from_array if kind == "binary" else Moments.from_array
    outcomes: dict[str, Outcomes] = {arm: sums(column.values[arm]) for arm in arms}
    return MetricAnalysis(
        column.request.column,
        kind,
        outcomes,
        {arm: column.left_out.get(arm, 0) for arm in arms},
        compare_arms(outcomes, control=request.control, level=request.level),
    )


def _parse(cell: str) -> float | None:
    try:
        value = float(cell)
    except ValueError:
        return None
    return value if isfinite(value) else None
