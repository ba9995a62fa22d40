"""Analysis of a table with an arm and outcomes in each row, by the statistics of the reports."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from experiments.stats.balance import SampleRatio, sample_ratio
from experiments.stats.caps import Capped, capped, pooled_cap
from experiments.stats.multiplicity import holm
from experiments.terminal.by_section import compare_sections
from experiments.terminal.cells import is_name
from experiments.terminal.columns import Columns, read_columns
from experiments.terminal.comparing import ArmResult, ArmRows, compare_adjusted, compare_units
from experiments.terminal.covariates import covariate_columns
from experiments.terminal.kinds import KINDS, Floats, Kind, Parts, are_binary
from experiments.terminal.labels import Labels
from experiments.terminal.requests import MetricRequest, Request
from experiments.terminal.tables import Table, TableError, no_progress
from experiments.terminal.units import Mask, Units, count_units, torn_labels

_MOST_ARMS = 50
_NO_SECTIONS = np.empty(0, dtype=np.int32)


@dataclass(frozen=True)
class Cap:
    """The outcome at which a metric is capped, and what that cuts in each arm."""

    value: float
    percentile: float
    arms: Mapping[str, Capped]


@dataclass(frozen=True)
class MetricAnalysis:
    """One metric's sums by arm, its missing outcomes by arm, and the comparisons.

    A missing outcome is that of a unit that counts.
    """

    request: MetricRequest
    kind: Kind
    outcomes: Mapping[str, object]
    missing: Mapping[str, int]
    results: Sequence[ArmResult]
    cap: Cap | None = None


@dataclass(frozen=True)
class Analysis:
    """A table's analysis. The control is the first arm.

    `drawn` is the number of units, or of sections if they were drawn whole, by arm. `absent` are
    the planned arms without a row.
    """

    request: Request
    units: Units
    drawn: Mapping[str, int]
    absent: Sequence[str]
    balance: SampleRatio
    metrics: Sequence[MetricAnalysis]


def analyze_table(
    table: Table, *, request: Request, progress: Callable[[int], None] = no_progress
) -> Analysis:
    """Return the analysis of the table's rows. `progress` receives the bytes read so far.

    Raise TableError for a wrong cell, arm or section.
    """
    columns = read_columns(table, numbers=request.numbers, labels=request.labels, progress=progress)
    units = _units(columns, request)
    covariates = {
        name: units.grouping.mean(values)
        for name, values in covariate_columns(
            {name: columns.labels[name] for name in request.covariates}, delimiter=table.delimiter
        ).items()
    }
    metrics = [
        _analyze_metric(metric, columns, units, covariates, request) for metric in request.metrics
    ]
    if request.cap is not None and all(metric.cap is None for metric in metrics):
        raise TableError("--cap lowers outcomes of means, and no metric is a mean.")
    drawn = _drawn(units)
    weights = request.weights or dict.fromkeys(drawn, 1.0)
    return Analysis(
        request,
        units,
        drawn,
        [arm for arm, weight in weights.items() if weight > 0 and not drawn[arm]],
        sample_ratio(list(drawn.values()), [weights.get(arm, 0.0) for arm in drawn]),
        _corrected(metrics),
    )


def _units(columns: Columns, request: Request) -> Units:
    found = columns.labels[request.arm_column]
    named = found.only(lambda name: name == request.control or is_name(name))
    arms = named.ordered(_ordered_arms(named.names, request))
    ids, sections = (
        columns.labels[name].only(is_name) if name else None
        for name in (request.unit, request.cluster)
    )
    units = count_units(arms, ids=ids, sections=sections)
    if units.sections is not None:
        _refuse_torn_sections(units, units.sections)
    return units


def _ordered_arms(found: Sequence[str], request: Request) -> list[str]:
    arms = sorted({*found, *request.weights})
    if len(arms) > _MOST_ARMS:
        raise TableError(
            f"Column '{request.arm_column}' holds {len(arms)} different values. Is it the column "
            "of the arm?"
        )
    if request.control not in found:
        raise TableError(
            f"No row has '{request.control}' in column '{request.arm_column}'. "
            f"The column holds: {', '.join(sorted(found)) or 'nothing'}."
        )
    if len(arms) < 2:
        raise TableError(f"Column '{request.arm_column}' holds only the control.")
    return [request.control, *(arm for arm in arms if arm != request.control)]


def _refuse_torn_sections(units: Units, sections: Labels) -> None:
    everybody = np.ones(sections.codes.size, dtype=bool)
    torn = np.flatnonzero(torn_labels(sections, units.arms, everybody))
    if torn.size:
        raise TableError(
            f"{torn.size:,} of {len(sections.names):,} sections have units in several arms, such "
            f"as '{sections.names[torn[0]]}'. So the sections were not drawn whole, and cannot be "
            "compared. Leave out --cluster if the units were drawn one by one."
        )


def _drawn(units: Units) -> dict[str, int]:
    if units.sections is None:
        return units.sizes
    return {
        arm: int(np.unique(units.sections.codes[units.of(arm)]).size) for arm in units.arms.names
    }


def _analyze_metric(
    metric: MetricRequest,
    columns: Columns,
    units: Units,
    covariates: Mapping[str, Floats],
    request: Request,
) -> MetricAnalysis:
    rows = tuple(columns.numbers[name] for name in metric.columns)
    kind = KINDS[metric.kind or _kind_of(units.grouping.kept(rows[0]))]
    kind.check(metric.columns, tuple(units.grouping.kept(part) for part in rows))
    parts = kind.combine(units.grouping, rows)
    cap = _cap(parts, units, request) if kind is KINDS["mean"] else None
    if cap is not None:
        parts = (np.minimum(parts[0], cap.value),)
    arms = _arms(kind, parts, units, covariates)
    compare = partial(_comparer(request), arms[0], kind=kind, level=request.level)
    return MetricAnalysis(
        metric,
        kind,
        {arm.name: arm.sums for arm in arms},
        {arm.name: arm.missing.successes for arm in arms},
        [compare(arm) for arm in arms[1:]],
        cap,
    )


def _comparer(request: Request) -> Callable[..., ArmResult]:
    if request.cluster:
        return compare_sections
    return compare_adjusted if request.covariates else compare_units


def _arms(
    kind: Kind, parts: Parts, units: Units, covariates: Mapping[str, Floats]
) -> list[ArmRows]:
    known: Mask = np.logical_and.reduce([~np.isnan(part) for part in parts])
    sections = None if units.sections is None else units.sections.codes
    masks = [units.of(arm) for arm in units.arms.names]
    outcomes = [tuple(part[mask & known] for part in parts) for mask in masks]
    columns = zip(units.arms.names, masks, outcomes, kind.sums(outcomes), strict=True)
    return [
        ArmRows(
            arm,
            known[mask],
            found,
            sums,
            {name: values[mask & known] for name, values in covariates.items()},
            _NO_SECTIONS if sections is None else sections[mask],
        )
        for arm, mask, found, sums in columns
    ]


def _cap(parts: Parts, units: Units, request: Request) -> Cap | None:
    if request.cap is None:
        return None
    values = parts[0]
    frequencies = [
        _frequencies(values[units.of(arm) & ~np.isnan(values)]) for arm in units.arms.names
    ]
    cap = pooled_cap(frequencies, percentile=request.cap)
    return Cap(
        cap,
        request.cap,
        {arm: capped(each, cap) for arm, each in zip(units.arms.names, frequencies, strict=True)},
    )


def _frequencies(values: Floats) -> tuple[tuple[float, int], ...]:
    found, times = np.unique(values, return_counts=True)
    return tuple(zip(found.tolist(), times.tolist(), strict=True))


def _corrected(metrics: Sequence[MetricAnalysis]) -> list[MetricAnalysis]:
    """Return the metrics with the p-values of Holm over all comparisons."""
    results = [result for metric in metrics for result in metric.results]
    adjusted = iter(holm([result.comparison.difference.p_value for result in results]))
    return [
        replace(metric, results=[replace(each, holm=next(adjusted)) for each in metric.results])
        for metric in metrics
    ]


def _kind_of(values: Floats) -> str:
    return "binary" if are_binary(values[~np.isnan(values)]) else "mean"
