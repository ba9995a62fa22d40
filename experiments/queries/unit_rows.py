"""The assignments of an experiment one by one, for a file without names and ids."""

# Every value is a bound parameter. The texts put into the SQL are all written in this app.
# ruff: noqa: S608

from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from itertools import count
from typing import Any

from django.db import connection

from activity.access import Viewer
from activity.local_time import day_in_arrays, zone_arrays
from common.database import holding_cursor, read_one_state
from experiments.exports.bundle import Bundle
from experiments.exports.hiding import HiddenError, Place, Shown, small_arms
from experiments.exports.plan import Plan
from experiments.exports.rows import Row
from experiments.metrics.definitions import Metric
from experiments.models import Experiment
from experiments.protocol import read_protocol
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
from experiments.queries.reports import report as make_report
from experiments.queries.sections import drawn_sections

# The rows that the program holds at a time.
_BATCH = 2_000
# The day of the draw in the zone of the report.
_LOCAL = f"local AS MATERIALIZED ({zone_arrays('%(zone)s')})"
_DAY = day_in_arrays("drawn.assigned_at", "local")
_numbers = count(1)
_FEW = "Too few learners were drawn into {}, so a file of rows would single them out."
_UNSEEN = "Learners of a course that you may not see take part, so you get no file of rows."


@dataclass(frozen=True)
class Reading:
    """An experiment's rows at an instant, with days in a zone."""

    experiment: Experiment
    plan: Plan
    as_of: datetime
    zone: str
    # By section the block of its draw, if whole sections were drawn.
    blocks: Mapping[int, int] = field(default_factory=dict)

    def place(self, arm: str, section: int | None, day: date, stratum: int | None) -> Place:
        """Return the place of a learner. Whole sections are balanced in blocks of a stratum."""
        return Place(arm, section, day, self.blocks.get(section or 0, stratum))

    @property
    def values(self) -> dict[str, Any]:
        """Return the values of the queries' parameters."""
        return {
            "experiment_id": self.experiment.pk,
            "digest": self.experiment.protocol_sha256,
            "zone": self.zone,
            **parameters(self.plan.read, self.as_of),
        }


def place_sizes(reading: Reading) -> dict[Place, int]:
    """Return the number of assignments by arm, section, day of the draw and stratum. One query."""
    with connection.cursor() as cursor:
        cursor.execute(_PLACES, reading.values)
        return {reading.place(*place): size for *place, size in cursor.fetchall()}


def unit_rows(reading: Reading) -> Iterator[Row]:
    """Return each assignment up to the instant, in an order that tells nothing about the learner.

    The order is by a hash of the protocol's digest and the unit key, so the file of one instant is
    always the same, and a learner has other places in the files of other experiments. The query
    runs at once, and its rows come in batches from a cursor of the server.
    """
    cursor = holding_cursor(f"units_{next(_numbers)}")
    cursor.execute(_units_sql(reading.plan), reading.values)
    return _rows(cursor, reading)


def bundle_of(experiment: Experiment, *, as_of: datetime, viewer: Viewer) -> Bundle:
    """Return the files of the experiment at the instant. The rows are read after the transaction.

    Call it first in a transaction, so that the rows add up to the numbers. Raise HiddenError if
    the rows would single learners out or are not for the viewer, and ProtocolError as `report`.
    """
    read_one_state()
    found = make_report(experiment, as_of=as_of, viewer=viewer)
    if not all(course.is_seen for course in found.facts.courses):
        raise HiddenError(_UNSEEN)
    protocol = read_protocol(experiment.protocol)
    plan = Plan.of(protocol)
    blocks = (
        {each.section_id: each.block for each in drawn_sections(experiment, protocol, as_of=as_of)}
        if found.facts.draws_sections
        else {}
    )
    reading = Reading(experiment, plan, as_of, found.facts.zone, blocks)
    sizes = place_sizes(reading)
    few = small_arms(sizes)
    if few:
        names = {arm.key: f"“{arm.name}”" for arm in found.arms}
        raise HiddenError(_FEW.format(" and ".join(names[arm] for arm in few)))
    shown = Shown.of(sizes)
    if found.adaptive is not None:
        shown = shown.by_period(found.adaptive.periods)
    return Bundle(found, experiment.protocol, plan, shown, unit_rows(reading))


def _rows(cursor: Any, reading: Reading) -> Iterator[Row]:
    plan = reading.plan
    parts = _parts(plan.read)
    waits = [metric.window if metric.outcome.waits else None for metric in plan.read]
    places = list(zip(parts, waits, strict=True))
    # The anchored columns follow all others. Only the primary outcome has them.
    after = parts[-1].stop
    anchored = slice(after, after + len(plan.primary.outcome.columns))
    with closing(cursor):
        while batch := cursor.fetchmany(_BATCH):
            for arm, section, day, stratum, until, drawn_at, anchored_at, *numbers in batch:
                is_anchored = anchored_at is not None and _has_ended(anchored_at, waits[0], until)
                yield Row(
                    reading.place(arm, section, day, stratum),
                    tuple(
                        numbers[part] if _has_ended(drawn_at, wait, until) else None
                        for part, wait in places
                    ),
                    numbers[anchored] if is_anchored else None,
                )


def _has_ended(at: datetime, window: timedelta | None, until: datetime) -> bool:
    """Return whether the outcome is known: its window has ended, or it waits for none."""
    return window is None or at + window <= until


# The section and the stratum of the draw. Learners who were drawn alone have only a section today.
# An adaptive draw has its period in place of both: the rest of a section would be too few.
_PLACE = f"""
    arm.key, CASE WHEN drawn.period_id IS NULL
        THEN COALESCE(whole.section_id, enrollment.section_id) END AS section, {_DAY} AS drawn_on,
    COALESCE(period.position, drawn.stratum_id, whole.stratum_id) AS stratum"""
_PLACE_JOINS = """
    JOIN experiments_arm arm ON arm.id = drawn.arm_id
    JOIN activity_enrollment enrollment ON enrollment.id = drawn.enrollment_id
    LEFT JOIN experiments_sectiondraw whole ON whole.id = drawn.section_draw_id
    LEFT JOIN experiments_shareperiod period ON period.id = drawn.period_id
    CROSS JOIN local"""
_PLACES = f"""
WITH {_LOCAL}
SELECT {_PLACE}, count(*)
FROM {DRAWN} drawn {_PLACE_JOINS}
WHERE drawn.experiment_id = %(experiment_id)s AND drawn.assigned_at <= %(as_of)s
GROUP BY 1, 2, 3, 4
ORDER BY 1, 2, 3, 4
"""


def _parts(metrics: tuple[Metric, ...]) -> list[slice]:
    """Return the places of each metric's numbers among all."""
    found, start = [], 0
    for metric in metrics:
        found.append(slice(start, start + len(metric.outcome.columns)))
        start = found[-1].stop
    return found


def _units_sql(plan: Plan) -> str:
    numbers = [f"outcome.column_{name}" for _, name, _ in named_columns(plan.read)]
    anchored = ""
    if plan.is_anchored:
        anchored = f", anchored AS MATERIALIZED ({_outcomes_sql(ANCHORED, (plan.primary,))})"
        numbers += [f"anchored.column_{name}" for _, name, _ in named_columns([plan.primary])]
    return f"""
WITH {ZONES}, {_LOCAL}, outcome AS MATERIALIZED ({_outcomes_sql(DRAWN, plan.read)}){anchored}
SELECT {_PLACE}, outcome.known_until, drawn.assigned_at,
    {"anchored.assigned_at" if anchored else "NULL"}, {", ".join(numbers)}
FROM {DRAWN} drawn
JOIN outcome ON outcome.id = drawn.id
{"LEFT JOIN anchored ON anchored.id = drawn.id" if anchored else ""}
{_PLACE_JOINS}
ORDER BY sha256(convert_to(%(digest)s || drawn.unit_key::text, 'UTF8'))
"""


def _outcomes_sql(source: str, metrics: tuple[Metric, ...]) -> str:
    return f"""
    SELECT assigned.id, assigned.assigned_at, min({UNTIL}) AS known_until, {columns_sql(metrics)}
    FROM {source} assigned {event_joins(metrics)}
    WHERE assigned.experiment_id = %(experiment_id)s AND assigned.assigned_at <= %(as_of)s
    GROUP BY assigned.id, assigned.assigned_at"""
