"""Parts of the SQL that reads the columns of metrics for each assignment. Pure.

A query names the assignment `assigned`, and selects from one of the sources with the joins.
"""

# Every value is a bound parameter. The texts put into the SQL are all written in this app.
# ruff: noqa: S608

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from activity.local_time import zone_arrays
from activity.read_models.columns import IS_ACT
from experiments.metrics.columns import ACT, Column
from experiments.metrics.definitions import Metric

# The zone periods of each zone, found once and not per event.
ZONES = f"""zone AS MATERIALIZED (
    SELECT course.time_zone AS name, periods.ends, periods.offsets
    FROM (SELECT DISTINCT time_zone FROM activity_course) AS course
    CROSS JOIN LATERAL ({zone_arrays("course.time_zone")}) AS periods
)"""

DRAWN = "experiments_assignment"
# The first message or ghost stands for the draw.
ANCHORED = """(
    SELECT drawn.id, drawn.experiment_id, drawn.arm_id, drawn.enrollment_id,
        min(handed.at) AS assigned_at
    FROM experiments_assignment drawn
    JOIN experiments_deliveryoutcome handed ON handed.assignment_id = drawn.id
        AND handed.outcome IN ('handed_off', 'ghost')
    WHERE drawn.experiment_id = %(experiment_id)s
    GROUP BY drawn.id
)"""


# The instant up to which the events of a course were known: that of the report, or the last one
# before its feed fell silent, late or odd, as it was judged then. Learners whose window ends after
# it wait: without their events they would count as having done nothing.
UNTIL = "LEAST(%(as_of)s, COALESCE(held.since, %(as_of)s))"


def event_joins(metrics: Sequence[Metric]) -> str:
    """Return the joins of what the columns read: enrollment, course and events."""
    columns = [column for _, _, column in named_columns(metrics)]
    events = ["event.verb = ANY (%(verbs)s)"]
    if any(column.verb == ACT for column in columns):
        events.append(f"({IS_ACT})")
    return f"""
    JOIN activity_enrollment enrollment ON enrollment.id = assigned.enrollment_id
    JOIN activity_course course ON course.id = enrollment.course_id
    -- One row per course: a second one would count each event twice.
    LEFT JOIN (
        SELECT course_id, min(since) AS since FROM activity_feedhold
        WHERE noted_at <= %(known_by)s AND (ended_at IS NULL OR ended_at > %(known_by)s)
        GROUP BY course_id
    ) AS held ON held.course_id = course.id
    LEFT JOIN activity_event event ON event.enrollment_id = assigned.enrollment_id
        AND ({" OR ".join(events)})
        AND event.received_at <= %(known_by)s
        AND event.occurred_at >= assigned.assigned_at - make_interval(secs => %(longest_before)s)
        AND event.occurred_at < assigned.assigned_at + make_interval(secs => %(longest)s)
"""


def named_columns(metrics: Sequence[Metric]) -> Iterator[tuple[int, str, Column]]:
    """Yield each column with its metric's place and a unique name."""
    for place, metric in enumerate(metrics):
        for number, column in enumerate(metric.outcome.columns):
            yield place, f"{place}_{number}", column


def columns_sql(metrics: Sequence[Metric]) -> str:
    """Return the selected columns, separated by commas, under the names `column_PLACE_NUMBER`."""
    return ", ".join(
        f"{column.sql(verb=f'%(verb_{name})s', window=f'%(window_{place})s')} AS column_{name}"
        for place, name, column in named_columns(metrics)
    )


def parameters(
    metrics: Sequence[Metric], as_of: datetime, *, known_by: datetime | None = None
) -> dict[str, Any]:
    """Return the values of the parameters that columns and joins name.

    `known_by` is the instant by which events were received and holds noted, usually `as_of`.
    """
    seconds = [metric.window.total_seconds() for metric in metrics]
    columns = list(named_columns(metrics))
    return {
        "as_of": as_of,
        "known_by": known_by or as_of,
        "verbs": sorted({column.verb for _, _, column in columns} - {ACT, ""}),
        "longest": max(seconds),
        "longest_before": max(
            (seconds[place] for place, _, column in columns if column.is_before), default=0
        ),
        **{f"verb_{name}": column.verb for _, name, column in columns},
        **{f"window_{place}": window for place, window in enumerate(seconds)},
    }
