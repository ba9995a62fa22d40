"""The outcomes of an experiment by arm, in one query over assignments and the event log."""

# Every value is a bound parameter. The texts put into the SQL are all written in this app.
# ruff: noqa: S608

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db import connection
from django.db.models import Exists, OuterRef, Q

from activity.queries import holds_at
from experiments.metrics.definitions import Metric
from experiments.metrics.observed import Observed
from experiments.models import Assignment
from experiments.queries.outcome_sql import (
    ANCHORED,
    DRAWN,
    UNTIL,
    ZONES,
    columns_sql,
    event_joins,
    named_columns,
    parameters,
)


@dataclass(frozen=True)
class ArmAggregate:
    """The number of assignments to an arm by the instant, and the outcomes by metric key."""

    assigned: int
    observed: dict[str, Observed]
    first_at: datetime
    last_at: datetime


def aggregates_by_arm(
    experiment_id: int,
    *,
    metrics: Sequence[Metric],
    as_of: datetime,
    anchored: bool = False,
    known_by: datetime | None = None,
) -> dict[str, ArmAggregate]:
    """Return the metrics' outcomes by arm key, in one query over assignments and the event log.

    An assignment counts for a metric if the metric's window has ended by as_of, and by the instant
    up to which the events of its course were known then. Only events received by as_of count, so a
    report at a past instant does not change while the feed is sound. Empty arms are left out.
    With `anchored`, only learners with a message or a ghost are counted, from the first of them on.
    With `known_by`, only what was received by that instant is known.
    """
    with connection.cursor() as cursor:
        known = parameters(metrics, as_of, known_by=known_by)
        values = {"experiment_id": experiment_id, **known}
        cursor.execute(_frequencies_sql(metrics, ANCHORED if anchored else DRAWN), values)
        rows = cursor.fetchall()
    tables: dict[str, list[_Table]] = {}
    for arm, place, has_ended, assignments, first_at, last_at, *numbers in rows:
        table = tables.setdefault(arm, [_Table() for _ in metrics])[place]
        table.assigned += assignments
        table.assigned_at += [at for at in (first_at, last_at) if at is not None]
        if has_ended:
            table.frequencies[tuple(numbers[: len(metrics[place].outcome.columns)])] = assignments
    return {arm: _aggregate(metrics, of_arm) for arm, of_arm in tables.items()}


@dataclass
class _Table:
    """Assignments of one arm for one metric: all of them, and those that count by column values."""

    assigned: int = 0
    # The first and the last draw of each group. Only the first metric has them.
    assigned_at: list[datetime] = field(default_factory=list)
    frequencies: dict[tuple[Any, ...], int] = field(default_factory=dict)


def _aggregate(metrics: Sequence[Metric], tables: Sequence[_Table]) -> ArmAggregate:
    return ArmAggregate(
        tables[0].assigned,
        {
            metric.key: metric.observe(table.frequencies)
            for metric, table in zip(metrics, tables, strict=True)
        },
        first_at=min(tables[0].assigned_at),
        last_at=max(tables[0].assigned_at),
    )


def ends_by(as_of: datetime, window: timedelta) -> Q:
    """Return the condition that an assignment's window has ended, as in `aggregates_by_arm`."""
    held = holds_at(as_of).filter(
        course=OuterRef("enrollment__course"), since__lt=OuterRef("assigned_at") + window
    )
    return Q(~Exists(held), assigned_at__lte=as_of - window)


def counted_units(
    experiment_id: int, *, metric: Metric, as_of: datetime
) -> list[tuple[str, str, bool]]:
    """Return unit key, arm key and is_control of each assignment that counts for the metric."""
    counted = Assignment.objects.filter(ends_by(as_of, metric.window), experiment=experiment_id)
    rows = counted.order_by("id").values_list("unit_key", "arm__key", "arm__is_control")
    return [(str(unit_key), arm, is_control) for unit_key, arm, is_control in rows]


def outcomes_since(starts: Mapping[int, datetime], *, metric: Metric, as_of: datetime) -> Observed:
    """Return the metric's outcomes of enrollments without a draw, given as id and first instant.

    An enrollment counts if the metric's window has ended by as_of. One query.
    """
    ended = {each: at for each, at in starts.items() if at + metric.window <= as_of}
    values = {"ids": list(ended), "instants": list(ended.values()), **parameters([metric], as_of)}
    with connection.cursor() as cursor:
        cursor.execute(_since_sql(metric), values)
        return metric.observe({tuple(row[1:]): row[0] for row in cursor.fetchall()})


def _since_sql(metric: Metric) -> str:
    groups = ", ".join(f"column_{name}" for _, name, _ in named_columns([metric]))
    return f"""
WITH {ZONES}
SELECT count(*), {groups} FROM (
    SELECT {columns_sql([metric])}
    FROM unnest(%(ids)s::bigint[], %(instants)s::timestamptz[])
        AS assigned (enrollment_id, assigned_at) {event_joins([metric])}
    GROUP BY assigned.enrollment_id, assigned.assigned_at
) AS outcome GROUP BY {groups}
"""


def _frequencies_sql(metrics: Sequence[Metric], source: str) -> str:
    """Return a SELECT with one row per arm, metric and combination of the metric's numbers.

    Its columns: arm, the metric's place, whether the window has ended, the number of assignments,
    the first and the last draw (only for the first metric), and the numbers. A metric with fewer
    columns than another is filled up with nulls.
    """
    columns = columns_sql(metrics)
    widest = max(len(metric.outcome.columns) for metric in metrics)
    counted = (_counted_sql(place, metric, widest) for place, metric in enumerate(metrics))
    numbers = ", ".join(f"counted.number_{number}" for number in range(widest))
    return f"""
WITH {ZONES}, outcome AS MATERIALIZED (
    SELECT assigned.arm_id, assigned.assigned_at, min({UNTIL}) AS known_until, {columns}
    FROM {source} assigned {event_joins(metrics)}
    WHERE assigned.experiment_id = %(experiment_id)s AND assigned.assigned_at <= %(as_of)s
    GROUP BY assigned.id, assigned.arm_id, assigned.assigned_at
), counted AS (
    {" UNION ALL ".join(counted)}
)
SELECT arm.key, counted.place, counted.has_ended, counted.assignments, counted.first_at,
    counted.last_at, {numbers}
FROM counted JOIN experiments_arm arm ON arm.id = counted.arm_id
"""


def _counted_sql(place: int, metric: Metric, widest: int) -> str:
    # In seconds: an interval in days depends on the session's time zone at a clock change.
    ended = f"assigned_at + make_interval(secs => %(window_{place})s) <= known_until"
    if not metric.outcome.waits:
        ended = "true"
    own = range(len(metric.outcome.columns))
    numbers = [f"CASE WHEN {ended} THEN column_{place}_{number} END" for number in own]
    numbers += ["NULL::numeric"] * (widest - len(numbers))
    named = [f"{number} AS number_{at}" for at, number in enumerate(numbers)]
    groups = ", ".join(f"number_{at}" for at in range(widest))
    first, last = ("NULL", "NULL") if place else ("min(assigned_at)", "max(assigned_at)")
    return f"""
    SELECT arm_id, {place} AS place, {ended} AS has_ended, count(*) AS assignments,
        {first}::timestamptz AS first_at, {last}::timestamptz AS last_at,
        {", ".join(named)}
    FROM outcome GROUP BY arm_id, has_ended, {groups}"""
