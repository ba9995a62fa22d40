"""The outcomes of one metric by arm and by group: course, section, trait, or day of the draw."""

# Every value is a bound parameter. The texts put into the SQL are all written in this app.
# ruff: noqa: S608

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection

from activity.local_time import local_day
from experiments.metrics.definitions import Metric
from experiments.metrics.observed import Observed
from experiments.queries.outcome_sql import (
    DRAWN,
    UNTIL,
    ZONES,
    columns_sql,
    event_joins,
    named_columns,
    parameters,
)

# The outcomes of each arm in each group, by the group's text and the arm's key.
Grouped = Mapping[str, Mapping[str, Observed]]


@dataclass(frozen=True)
class GroupBy:
    """The SQL that names an assignment's group, and the values that it needs."""

    sql: str
    values: Mapping[str, Any]


BY_COURSE = GroupBy("enrollment.course_id::text", {})
BY_SECTION = GroupBy("COALESCE(enrollment.section_id::text, '')", {})
# The section through which the learner was drawn, even if the learner has changed section.
BY_DRAWN_SECTION = GroupBy("COALESCE(assigned.section_draw_id::text, '')", {})

# The period of an adaptive draw, by the number of its first draw, which a restored ledger keeps.
BY_PERIOD = GroupBy(
    """COALESCE((
        SELECT period.position FROM experiments_shareperiod period
        WHERE period.id = assigned.period_id
    )::text, '')""",
    {},
)


def by_day(zone: str) -> GroupBy:
    """Return the groups of the day of the draw, as ISO dates in the zone."""
    return GroupBy(f"{local_day('assigned.assigned_at', '%(zone)s')}::text", {"zone": zone})


def by_trait(name: str) -> GroupBy:
    """Return the groups of a trait: the enrollment's, else the learner's, else an empty text."""
    sql = "COALESCE(enrollment.traits ->> %(trait)s, learner.traits ->> %(trait)s, '')"
    return GroupBy(sql, {"trait": name})


def grouped_outcomes(
    experiment_id: int, *, metric: Metric, by: GroupBy, as_of: datetime
) -> dict[str, dict[str, Observed]]:
    """Return the metric's outcomes by group and arm key, in one query, groups in their order.

    The same assignments count as in `aggregates_by_arm`. Groups and arms without any are left out.
    """
    tables = _frequencies(experiment_id, metric, by, as_of)
    return {
        group: {arm: metric.observe(table) for arm, table in of_group.items()}
        for group, of_group in tables.items()
    }


def outcomes_over_time(
    experiment_id: int, *, metric: Metric, zone: str, as_of: datetime
) -> dict[str, dict[str, Observed]]:
    """Return the outcomes of all learners drawn up to each day, by ISO date in the zone and arm.

    Only days on which somebody was drawn are listed. One query.
    """
    tables = _frequencies(experiment_id, metric, by_day(zone), as_of)
    whole: dict[str, Counter[tuple[Any, ...]]] = {}
    found = {}
    for day, of_day in tables.items():
        for arm, table in of_day.items():
            whole.setdefault(arm, Counter()).update(table)
        found[day] = {arm: metric.observe(table) for arm, table in whole.items()}
    return found


def _frequencies(
    experiment_id: int, metric: Metric, by: GroupBy, as_of: datetime
) -> dict[str, dict[str, dict[tuple[Any, ...], int]]]:
    values = {
        "experiment_id": experiment_id, **parameters([metric], as_of), **by.values
    }  # fmt: skip
    tables: dict[str, dict[str, dict[tuple[Any, ...], int]]] = {}
    with connection.cursor() as cursor:
        cursor.execute(_grouped_sql(metric, by), values)
        for group, arm, assignments, *numbers in cursor.fetchall():
            tables.setdefault(group, {}).setdefault(arm, {})[tuple(numbers)] = assignments
    return dict(sorted(tables.items()))


def _grouped_sql(metric: Metric, by: GroupBy) -> str:
    numbers = ", ".join(f"column_{name}" for _, name, _ in named_columns([metric]))
    ended = f"assigned.assigned_at + make_interval(secs => %(window_0)s) <= {UNTIL}"
    return f"""
WITH {ZONES}, outcome AS (
    SELECT assigned.arm_id, min({by.sql}) AS in_group, {columns_sql([metric])}
    FROM {DRAWN} assigned {event_joins([metric])}
    JOIN activity_learner learner ON learner.id = enrollment.learner_id
    WHERE assigned.experiment_id = %(experiment_id)s AND assigned.assigned_at <= %(as_of)s
        AND {ended if metric.outcome.waits else "true"}
    GROUP BY assigned.id
)
SELECT outcome.in_group, arm.key, count(*), {numbers}
FROM outcome JOIN experiments_arm arm ON arm.id = outcome.arm_id
GROUP BY outcome.in_group, arm.key, {numbers}
"""
