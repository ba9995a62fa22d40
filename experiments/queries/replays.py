"""Learners of the past with their outcomes, among whom an experiment is replayed."""

# Every value is a bound parameter. The texts put into the SQL are all written in this app.
# ruff: noqa: S608

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from django.db import connection
from django.db.models import Q

from activity.models import Course, Enrollment, Section
from common.clock import local_midnight
from experiments.design import Design
from experiments.metrics.definitions import Metric
from experiments.queries.outcome_sql import (
    ZONES,
    columns_sql,
    event_joins,
    named_columns,
    parameters,
)
from experiments.queries.sections import section_sizes
from experiments.queries.units import Unit, stratum_keys, units_of
from experiments.randomize.hash import bucket_of_many
from experiments.reporting.replays import DrawPlan, Past, draw_once


def present_at(course: Course, *, at: datetime, most: int | None = None) -> dict[int, datetime]:
    """Return the enrollments that were in the course at the instant, each with the instant.

    With `most`, as many of them at most, chosen by their unit keys, which are random. One query.
    """
    began = local_midnight(course.starts_on, course.time_zone)
    stayed = Q(withdrew_at__isnull=True) | Q(withdrew_at__gt=at)
    there = Enrollment.objects.filter(stayed, course=course, enrolled_at__lte=at)
    there = there.filter(Q(completed_at__isnull=True) | Q(completed_at__gt=at))
    ids = there.order_by("unit_key").values_list("pk", flat=True)[:most] if began <= at else ()
    return dict.fromkeys(ids, at)


def past_of(
    starts: Mapping[int, datetime], *, design: Design, metric: Metric, as_of: datetime
) -> Past:
    """Return the enrollments with their outcomes since their instants, as a draw would take them.

    Left out are those whose window has not ended by as_of, and those outside the layer. The strata
    are those of the last of the instants. Three queries, and more for strata.
    """
    ended = {each: at for each, at in starts.items() if at + metric.window <= as_of}
    units = in_layer(units_of(ended), design)
    units.sort(key=lambda unit: (ended[unit.enrollment_id], unit.enrollment_id))
    last = max(ended.values(), default=as_of)
    drawn = {unit.enrollment_id: ended[unit.enrollment_id] for unit in units}
    rows = rows_since(drawn, metrics=[metric], as_of=as_of)
    return _past(units, design, at=last, rows=tuple(rows[each] for each in drawn))


def present_draw(units: Sequence[Unit], plan: DrawPlan, *, now: datetime) -> dict[int, str]:
    """Return the arms that these units would have if they were drawn now, by enrollment id."""
    arms = draw_once(_past(units, plan.design, at=now), plan, seed=plan.seed)
    return {unit.enrollment_id: arm for unit, arm in zip(units, arms, strict=True) if arm}


def _past(
    units: Sequence[Unit], design: Design, *, at: datetime, rows: tuple[tuple[Any, ...], ...] = ()
) -> Past:
    strata, names = stratum_keys(units, design.strata, now=at), _section_names(units)
    return Past(
        tuple(str(unit.unit_key) for unit in units),
        tuple(strata[unit.enrollment_id] for unit in units),
        tuple(names.get(unit.section_id or 0, "") for unit in units),
        rows,
    )


def rows_since(
    starts: Mapping[int, datetime], *, metrics: Sequence[Metric], as_of: datetime
) -> dict[int, tuple[Any, ...]]:
    """Return the columns of the metrics by enrollment, from its instant on. One query."""
    values = {
        "ids": list(starts), "instants": list(starts.values()), **parameters(metrics, as_of)
    }  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute(_rows_sql(metrics), values)
        return {enrollment: tuple(numbers) for enrollment, *numbers in cursor.fetchall()}


def _rows_sql(metrics: Sequence[Metric]) -> str:
    columns = ", ".join(f"column_{name}" for _, name, _ in named_columns(metrics))
    return f"""
WITH {ZONES}
SELECT enrollment_id, {columns} FROM (
    SELECT assigned.enrollment_id, {columns_sql(metrics)}
    FROM unnest(%(ids)s::bigint[], %(instants)s::timestamptz[])
        AS assigned (enrollment_id, assigned_at) {event_joins(metrics)}
    GROUP BY assigned.enrollment_id, assigned.assigned_at
) AS outcome
"""


def in_layer(units: Sequence[Unit], design: Design) -> list[Unit]:
    """Return the units inside the design's part of its exclusion layer."""
    layer = design.layer
    if layer is None:
        return list(units)
    buckets = bucket_of_many([str(unit.learner_id) for unit in units], seed=layer.seed).tolist()
    return [unit for unit, bucket in zip(units, buckets, strict=True) if bucket in layer]


def _section_names(units: Sequence[Unit]) -> dict[int, str]:
    found = {unit.section_id for unit in units if unit.section_id is not None}
    if not found:
        return {}
    sections = section_sizes(sections=Section.objects.filter(pk__in=found))
    return {section.pk: section.unit for section in sections}
