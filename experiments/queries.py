"""Queries on experiments: where they run, and the figures of their reports. Writes nothing."""

# Every value is a bound parameter. The texts put into the SQL are all written in this app.
# ruff: noqa: S608

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import connection
from django.db.models import Case, Count, Q, QuerySet, Value, When

from activity.access import Viewer, for_user
from activity.models import Course
from experiments.metrics.columns import EventCount
from experiments.metrics.definitions import Metric
from experiments.metrics.outcomes import Observed
from experiments.models import Assignment, Experiment, ExperimentStatus
from experiments.plan import (
    Plan,
    PlanError,
    PlannedArm,
    PlannedSegment,
    Promise,
    plan_problems,
    read_plan,
)
from experiments.reporting.report import (
    ArmFacts,
    CourseFacts,
    DeliveryCounts,
    ExperimentFacts,
    Report,
    build_report,
)
from segmentation.models import Segment

# Drafts have no start, and a database sorts nulls before or after all other values.
_RANK = Case(
    When(status=ExperimentStatus.RUNNING, then=Value(0)),
    When(status=ExperimentStatus.STOPPED, then=Value(1)),
    default=Value(2),
)


@dataclass(frozen=True)
class ArmAggregate:
    """The number of assignments to an arm by the instant, and the outcomes by metric key."""

    assigned: int
    observed: dict[str, Observed]


def running_experiments(segment_ids: Collection[int]) -> dict[int, list[Experiment]]:
    """Return by segment the experiments that draw its new members: its own and its playbook's."""
    segments = Segment.objects.filter(pk__in=segment_ids)
    playbooks = dict(segments.values_list("pk", "playbook"))
    of_segments = Q(segment__in=playbooks) | Q(playbook__in=set(playbooks.values()))
    running = Experiment.objects.filter(of_segments, status=ExperimentStatus.RUNNING)
    found = list(running.order_by("id"))
    return {
        segment: [e for e in found if e.segment_id == segment or e.playbook_id == playbook]
        for segment, playbook in playbooks.items()
    }


def assignments_of(enrollment_ids: Collection[int]) -> list[Assignment]:
    """Return the enrollments' assignments with their arms and experiments, the oldest first."""
    found = Assignment.objects.filter(enrollment__in=enrollment_ids)
    return list(found.select_related("arm", "experiment").order_by("assigned_at", "id"))


def experiments_with_sizes(*, viewer: Viewer) -> QuerySet[Experiment]:
    """Return the experiments that the viewer may see, each with `assigned`, the number drawn.

    Running experiments come first, then stopped ones, then drafts; within each the latest start.
    """
    seen = for_user(Experiment.objects.all(), viewer)
    sized = seen.select_related("segment__playbook", "playbook")
    return sized.annotate(assigned=Count("assignments"), rank=_RANK).order_by(
        "rank", "-started_at", "key"
    )


def planned_arms(experiment: Experiment) -> tuple[PlannedArm, ...]:
    """Return the arms in their order, as a plan made now would hold them."""
    arms = experiment.arms.order_by("position", "id")
    return tuple(PlannedArm(arm.key, float(arm.weight), arm.is_control, str(arm)) for arm in arms)


def promise_of(experiment: Experiment) -> Promise:
    """Return the promise of a plan made now. At most two queries."""
    segments = population_of(experiment).order_by("key").values_list("key", "version")
    return Promise(
        name=experiment.name,
        hypothesis=experiment.hypothesis,
        population=str(experiment.segment or experiment.playbook),
        segments=tuple(PlannedSegment(key, version) for key, version in segments),
        coverage=float(experiment.coverage),
        differs_outside=experiment.differs_outside,
    )


def population_of(experiment: Experiment) -> QuerySet[Segment]:
    """Return the segments whose members the experiment draws: its own, or its playbook's."""
    if experiment.playbook_id is not None:
        return Segment.objects.filter(playbook=experiment.playbook_id)
    return Segment.objects.filter(experiments=experiment)


def draft_problems(experiment: Experiment) -> list[str]:
    """Return what the experiment still lacks before it can start, one sentence per problem."""
    return plan_problems(planned_arms(experiment), seed=experiment.seed)


def courses_of(experiment: Experiment) -> tuple[CourseFacts, ...]:
    """Return the courses whose learners the experiment may draw, in the order of their keys."""
    rows = _courses(experiment).order_by("key").distinct()
    return tuple(
        CourseFacts(title, live_since is not None, stopped_at)
        for title, live_since, stopped_at in rows.values_list(
            "title", "live_since", "clock_stopped_at"
        )
    )


def clock_of(experiment: Experiment, *, now: datetime) -> datetime:
    """Return the instant to report at: now, or the stopped clock if all courses are simulated."""
    stops = list(_courses(experiment).values_list("clock_stopped_at", flat=True).distinct())
    stopped = [stop for stop in stops if stop is not None]
    return max(stopped) if stopped and len(stopped) == len(stops) else now


def report(experiment: Experiment, *, as_of: datetime) -> Report:
    """Return the experiment's report at the instant.

    Raise PlanError for an experiment that was never started, and for a plan of a later release.
    """
    if not experiment.plan:
        raise PlanError("The experiment was never started, so there is nothing to report.")
    plan = read_plan(experiment.plan)
    metrics = plan.chosen_metrics()
    aggregates = aggregates_by_arm(experiment.pk, metrics=metrics, as_of=as_of)
    arms = _arm_facts(plan, aggregates)
    return build_report(
        _facts(experiment, plan, as_of),
        arms=arms,
        metrics=metrics,
        observed={arm: found.observed for arm, found in aggregates.items()},
        deliveries=deliveries_by_arm(experiment.pk, as_of=as_of),
    )


def aggregates_by_arm(
    experiment_id: int, *, metrics: Sequence[Metric], as_of: datetime
) -> dict[str, ArmAggregate]:
    """Return the metrics' outcomes by arm key, in one query over assignments and the event log.

    An assignment counts for a metric if the metric's window has ended by as_of. Only events
    received by as_of count, so a report at a past instant never changes. Empty arms are left out.
    """
    with connection.cursor() as cursor:
        cursor.execute(_frequencies_sql(metrics), _parameters(experiment_id, metrics, as_of))
        rows = cursor.fetchall()
    tables: dict[str, list[_Table]] = {}
    for arm, place, has_ended, assignments, *numbers in rows:
        table = tables.setdefault(arm, [_Table() for _ in metrics])[place]
        table.assigned += assignments
        if has_ended:
            table.frequencies[tuple(numbers[: len(metrics[place].outcome.columns)])] = assignments
    return {arm: _aggregate(metrics, of_arm) for arm, of_arm in tables.items()}


@dataclass
class _Table:
    """Assignments of one arm for one metric: all of them, and those that count by column values."""

    assigned: int = 0
    frequencies: dict[tuple[Any, ...], int] = field(default_factory=dict)


def _aggregate(metrics: Sequence[Metric], tables: Sequence[_Table]) -> ArmAggregate:
    return ArmAggregate(
        tables[0].assigned,
        {
            metric.key: metric.outcome.observe(table.frequencies)
            for metric, table in zip(metrics, tables, strict=True)
        },
    )


def counted_units(
    experiment_id: int, *, metric: Metric, as_of: datetime
) -> list[tuple[str, str, bool]]:
    """Return unit key, arm key and is_control of each assignment that counts for the metric."""
    counted = Assignment.objects.filter(
        experiment=experiment_id, assigned_at__lte=as_of - metric.window
    )
    rows = counted.order_by("id").values_list("unit_key", "arm__key", "arm__is_control")
    return [(str(unit_key), arm, is_control) for unit_key, arm, is_control in rows]


def deliveries_by_arm(
    experiment_id: int, *, as_of: datetime
) -> dict[str, dict[str, DeliveryCounts]]:
    """Return the number of deliveries and of their learners, by arm key and outcome."""
    found = Assignment.objects.filter(
        experiment=experiment_id, assigned_at__lte=as_of, delivery_outcomes__at__lte=as_of
    )
    counted = found.values_list("arm__key", "delivery_outcomes__outcome").annotate(
        deliveries=Count("delivery_outcomes"), learners=Count("id", distinct=True)
    )
    by_arm: dict[str, dict[str, DeliveryCounts]] = {}
    for arm, outcome, deliveries, learners in counted:
        by_arm.setdefault(arm, {})[outcome] = DeliveryCounts(deliveries, learners)
    return by_arm


def _frequencies_sql(metrics: Sequence[Metric]) -> str:
    """Return a SELECT with one row per arm, metric and combination of the metric's numbers.

    Its columns: arm, the metric's place, whether the window has ended, the number of assignments,
    and the numbers. A metric with fewer columns than another is filled up with nulls.
    """
    names = list(_columns(metrics))
    columns = [
        f"{column.sql(verb=f'%(verb_{name})s', window=f'%(window_{place})s')} AS column_{name}"
        for place, name, column in names
    ]
    widest = max(len(metric.outcome.columns) for metric in metrics)
    counted = (_counted_sql(place, metric, widest) for place, metric in enumerate(metrics))
    numbers = ", ".join(f"counted.number_{number}" for number in range(widest))
    return f"""
WITH outcome AS MATERIALIZED (
    SELECT assigned.arm_id, assigned.assigned_at, {", ".join(columns)}
    FROM experiments_assignment assigned
    LEFT JOIN activity_event event ON event.enrollment_id = assigned.enrollment_id
        AND event.verb = ANY (%(verbs)s)
        AND event.received_at <= %(as_of)s
        AND event.occurred_at >= assigned.assigned_at
        AND event.occurred_at < assigned.assigned_at + make_interval(secs => %(longest)s)
    WHERE assigned.experiment_id = %(experiment_id)s AND assigned.assigned_at <= %(as_of)s
    GROUP BY assigned.id
), counted AS (
    {" UNION ALL ".join(counted)}
)
SELECT arm.key, counted.place, counted.has_ended, counted.assignments, {numbers}
FROM counted JOIN experiments_arm arm ON arm.id = counted.arm_id
"""


def _columns(metrics: Sequence[Metric]) -> Iterator[tuple[int, str, EventCount]]:
    """Yield each column with its metric's place and a unique name."""
    for place, metric in enumerate(metrics):
        for number, column in enumerate(metric.outcome.columns):
            yield place, f"{place}_{number}", column


def _counted_sql(place: int, metric: Metric, widest: int) -> str:
    # In seconds: an interval in days depends on the session's time zone at a clock change.
    ended = f"assigned_at + make_interval(secs => %(window_{place})s) <= %(as_of)s"
    own = range(len(metric.outcome.columns))
    numbers = [f"CASE WHEN {ended} THEN column_{place}_{number} END" for number in own]
    numbers += ["NULL::numeric"] * (widest - len(numbers))
    named = [f"{number} AS number_{at}" for at, number in enumerate(numbers)]
    groups = ", ".join(f"number_{at}" for at in range(widest))
    return f"""
    SELECT arm_id, {place} AS place, {ended} AS has_ended, count(*) AS assignments,
        {", ".join(named)}
    FROM outcome GROUP BY arm_id, has_ended, {groups}"""


def _parameters(experiment_id: int, metrics: Sequence[Metric], as_of: datetime) -> dict[str, Any]:
    seconds = [metric.window.total_seconds() for metric in metrics]
    columns = list(_columns(metrics))
    return {
        "experiment_id": experiment_id,
        "as_of": as_of,
        "verbs": sorted({column.verb for _, _, column in columns}),
        "longest": max(seconds),
        **{f"verb_{name}": column.verb for _, name, column in columns},
        **{f"window_{place}": window for place, window in enumerate(seconds)},
    }


def _facts(experiment: Experiment, plan: Plan, as_of: datetime) -> ExperimentFacts:
    # The plan counts here. The row may have been edited after the start.
    promise = plan.promise or promise_of(experiment)
    return ExperimentFacts(
        key=experiment.key,
        name=promise.name,
        hypothesis=promise.hypothesis,
        population=promise.population,
        is_running=experiment.status == ExperimentStatus.RUNNING,
        started_at=experiment.started_at,
        stopped_at=experiment.stopped_at,
        as_of=as_of,
        level=plan.level,
        plan_sha256=experiment.plan_sha256,
        courses=courses_of(experiment),
    )


def _courses(experiment: Experiment) -> QuerySet[Course]:
    if experiment.playbook_id is not None:
        return Course.objects.filter(playbooks=experiment.playbook_id)
    return Course.objects.filter(playbooks__segments__experiments=experiment)


def _arm_facts(plan: Plan, aggregates: dict[str, ArmAggregate]) -> list[ArmFacts]:
    return [
        ArmFacts(
            key=arm.key,
            name=arm.name or arm.key,
            is_control=arm.is_control,
            weight=arm.weight,
            assigned=aggregates[arm.key].assigned if arm.key in aggregates else 0,
        )
        for arm in plan.arms
    ]
