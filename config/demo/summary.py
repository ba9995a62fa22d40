"""The results of the demo, as numbers for JSON. Reads only."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from math import isnan
from typing import Any

from django.db import connection
from django.db.models import Count, Min, Q

from activity.simulation.outcomes import WINDOW, Draw, Outcomes, outcomes, true_lift
from activity.simulation.world import World
from config.demo import scenario
from experiments.models import Assignment, DeliveryOutcomeKind, Experiment
from experiments.queries import report
from experiments.reporting.report import MetricResult, Report, Row
from interventions.models import Delivery, DeliveryState
from segmentation.models import Segment
from segmentation.queries import segment_sizes

# A delivery that was deferred twice for one reason counts once for it.
_DEFERRED = """
SELECT entry ->> 'reason', count(DISTINCT delivery.id)
FROM interventions_delivery AS delivery
JOIN activity_enrollment AS enrollment ON enrollment.id = delivery.enrollment_id
JOIN activity_course AS course ON course.id = enrollment.course_id
CROSS JOIN LATERAL jsonb_array_elements(delivery.trace) AS entry
WHERE course.key = %(course)s AND entry ? 'until'
GROUP BY 1 ORDER BY 2 DESC, 1
"""

_HANDED_OFF = (DeliveryOutcomeKind.HANDED_OFF, DeliveryOutcomeKind.GHOST)


@dataclass(frozen=True)
class CountedDraw:
    """An assignment whose window has ended: its arm, and its outcomes with and without messages."""

    arm: str
    outcomes: Outcomes


def summarize(world: World, experiment: Experiment, *, as_of: datetime) -> dict[str, Any]:
    """Return segment sizes, messages and the experiment's table with the true lift."""
    return {
        "course": world.course.key,
        "as_of": as_of.isoformat(),
        "learners": len(world.traces),
        "segments": _segments(),
        "messages": _messages(world.course.key),
        "experiment": _experiment(
            report(experiment, as_of=as_of), counted_draws(world, experiment, as_of=as_of)
        ),
    }


def counted_draws(world: World, experiment: Experiment, *, as_of: datetime) -> list[CountedDraw]:
    """Return the assignments that the report counts, with the simulator's outcomes."""
    first = Min("delivery_outcomes__at", filter=Q(delivery_outcomes__outcome__in=_HANDED_OFF))
    counted = Assignment.objects.filter(experiment=experiment, assigned_at__lte=as_of - WINDOW)
    rows = counted.annotate(first=first).values_list(
        "enrollment__learner__external_id", "arm__key", "assigned_at", "first"
    )
    return [
        CountedDraw(arm, outcomes(world.by_learner[name], Draw(assigned_at, handed_off_at)))
        for name, arm, assigned_at, handed_off_at in rows.order_by("id")
    ]


def _segments() -> list[dict[str, Any]]:
    sizes = segment_sizes()
    segments = Segment.objects.filter(playbook__key=scenario.PLAYBOOK_KEY)
    return [
        {"key": segment.key, "name": segment.name, "members": sizes.get(segment.pk, 0)}
        for segment in segments.order_by("priority", "key")
    ]


def _messages(course_key: str) -> dict[str, Any]:
    of_course = Delivery.objects.filter(enrollment__course__key=course_key)
    states = _counts(of_course, "state")
    dropped = of_course.filter(state=DeliveryState.DROPPED)
    return {
        "handed_off": states.pop(DeliveryState.HANDED_OFF, 0),
        "ghost": states.pop(DeliveryState.GHOST, 0),
        "waiting": states.pop(DeliveryState.PLANNED, 0),
        "deferred_by_reason": _deferred(course_key),
        "dropped": states.pop(DeliveryState.DROPPED, 0),
        "dropped_by_reason": _counts(dropped, "reason"),
        "other": states,
    }


def _counts(rows: Any, name: str) -> dict[str, int]:
    counted = rows.order_by().values_list(name).annotate(number=Count("pk"))
    return dict(counted.order_by("-number", name))


def _deferred(course_key: str) -> dict[str, int]:
    with connection.cursor() as cursor:
        cursor.execute(_DEFERRED, {"course": course_key})
        return dict(cursor.fetchall())


def _experiment(found: Report, draws: list[CountedDraw]) -> dict[str, Any]:
    lifts = true_lift(draw.outcomes for draw in draws)
    return {
        "key": found.facts.key,
        "name": found.facts.name,
        "assigned": {arm.key: arm.assigned for arm in found.arms},
        "metrics": [_metric(result, row, lifts) for result in found.results for row in result.rows],
    }


def _metric(result: MetricResult, row: Row, lifts: Mapping[str, float]) -> dict[str, Any]:
    truth = lifts[row.key]
    return {
        "key": row.key,
        "name": row.metric.name,
        "counted": {arm.key: result.observed[arm.key].n for arm in (row.control, row.arm)},
        row.control.key: _number(row.control_level),
        row.arm.key: _number(row.arm_level),
        "lift": _number(row.lift),
        "low": _number(row.low),
        "high": _number(row.high),
        "p_value": _number(row.p_value),
        "true_lift": _number(truth),
        # A comparison with nan is false, so a missing interval covers nothing.
        "covers": row.low <= truth <= row.high,
        "verdict": row.verdict.text,
    }


def _number(value: float) -> float | None:
    return None if isnan(value) else value
