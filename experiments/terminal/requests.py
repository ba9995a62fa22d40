"""What to analyze in a table, as a command line says it. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from experiments.terminal.kinds import KINDS
from experiments.terminal.tables import TableError

_PAIRS = ("ratio", "time")
FORMS = ":binary, :mean, :ratio=DENOMINATOR or :time=EVENT"


@dataclass(frozen=True)
class MetricRequest:
    """A column to analyze, its kind, and its denominator or event if the kind has one.

    With an empty kind, a column of only 0 and 1 is binary, else a mean.
    """

    column: str
    kind: str = ""
    other: str = ""

    @property
    def columns(self) -> tuple[str, ...]:
        """Return the columns that the metric reads."""
        return (self.column, self.other) if self.other else (self.column,)


@dataclass(frozen=True)
class Request:
    """The columns to analyze, the control, and how.

    `weights` are those with which the arms were drawn, empty for equal ones. `cap` is the
    percentile at which means are capped. An empty `unit` means that every row is a unit, and an
    empty `cluster` that units were drawn one by one.
    """

    arm_column: str
    control: str
    metrics: tuple[MetricRequest, ...]
    level: float = 0.95
    covariates: tuple[str, ...] = ()
    cluster: str = ""
    unit: str = ""
    weights: Mapping[str, float] = field(default_factory=dict)
    cap: float | None = None

    @property
    def numbers(self) -> tuple[str, ...]:
        """Return the columns of numbers, each once."""
        return tuple(dict.fromkeys(name for metric in self.metrics for name in metric.columns))

    @property
    def labels(self) -> tuple[str, ...]:
        """Return the columns of names, each once. A covariate may hold either."""
        wanted = (self.arm_column, self.unit, self.cluster, *self.covariates)
        return tuple(dict.fromkeys(name for name in wanted if name))


def parse_metric(text: str, *, header: Sequence[str]) -> MetricRequest:
    """Return the metric written as COL, COL:binary, COL:mean, COL:ratio=COL or COL:time=COL.

    A text that is the full name of a column, with its colon, is that column. Raise TableError for
    any other kind.
    """
    if text in header:
        return MetricRequest(text)
    for kind in _PAIRS:
        column, form, other = text.partition(f":{kind}=")
        if form:
            return MetricRequest(column, kind, other)
    column, colon, kind = text.rpartition(":")
    if not colon:
        return MetricRequest(text)
    if kind in _PAIRS:
        raise TableError(f"'{text}': write the second column too, as in {column}:{kind}=COLUMN.")
    if kind not in KINDS:
        raise TableError(f"'{text}': '{kind}' is not a kind of metric. Use {FORMS}.")
    return MetricRequest(column, kind)
