"""What is asked of experiments: who runs where, and what reports are made of. Writes nothing."""

# Every value is bound; what is put into the text is written here.
# ruff: noqa: S608

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection
from django.db.models import Case, Count, Q, QuerySet, Value, When

from activity.models import Course
from experiments.metrics.definitions import Metric, Sums
from experiments.models import Assignment, Experiment, ExperimentStatus
from experiments.plan import (
    Plan,
    PlannedArm,
    PlannedSegment,
    Promise,
    plan_problems,
    read_plan,
)
from experiments.reporting.report import (
    ArmFacts,
    CourseFacts,
    ExperimentFacts,
    Exposures,
    Report,
    build_report,
)
from segmentation.models import Segment

# Drafts have no start, and a database sorts what is missing before or after all the rest.
_RANK = Case(
    When(status=ExperimentStatus.RUNNING, then=Value(0)),
    When(status=ExperimentStatus.STOPPED, then=Value(1)),
    default=Value(2),
)

# Whether the event is the first of its verb in a module, of those received by the instant.
_FIRST_OF_MODULE = """(
    EXISTS (
        SELECT FROM activity_item item WHERE item.id = event.item_id AND item.kind = 'module'
    ) AND NOT EXISTS (
        SELECT FROM activity_event earlier
        WHERE earlier.enrollment_id = event.enrollment_id AND earlier.item_id = event.item_id
            AND earlier.verb = event.verb AND earlier.received_at <= %(as_of)s
            AND earlier.occurred_at <= event.occurred_at
            AND (earlier.occurred_at, earlier.id) < (event.occurred_at, event.id)
    )
)"""


@dataclass(frozen=True)
class ArmAggregate:
    """How many were assigned to an arm by the instant, and each metric's sums by its key."""

    assigned: int
    sums: dict[str, Sums]


def running_experiments(segment_ids: Collection[int]) -> dict[int, list[Experiment]]:
    """Return, by segment, the experiments that draw who enters it: its own and its playbook's."""
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


def experiments_with_sizes() -> QuerySet[Experiment]:
    """Return all experiments, each with `assigned`, its number drawn.

    Those that run come first, then the stopped, then drafts; among them the last started first.
    """
    sized = Experiment.objects.select_related("segment__playbook", "playbook")
    return sized.annotate(assigned=Count("assignments"), rank=_RANK).order_by(
        "rank", "-started_at", "key"
    )


def planned_arms(experiment: Experiment) -> tuple[PlannedArm, ...]:
    """Return the arms as a plan made now would hold them, in their order."""
    arms = experiment.arms.order_by("position", "id")
    return tuple(PlannedArm(arm.key, float(arm.weight), arm.is_control, str(arm)) for arm in arms)


def promise_of(experiment: Experiment) -> Promise:
    """Return what a plan made now would promise. At most two queries."""
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
    """Return what the experiment lacks to be started, a sentence each."""
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
    """Return the instant to report at: now, or where its simulated courses stopped."""
    stops = list(_courses(experiment).values_list("clock_stopped_at", flat=True).distinct())
    stopped = [stop for stop in stops if stop is not None]
    return max(stopped) if stopped and len(stopped) == len(stops) else now


def report(experiment: Experiment, *, as_of: datetime) -> Report:
    """Return the experiment's report at the instant. Raise ValueError for one never started."""
    if not experiment.plan:
        raise ValueError("The experiment was never started: there is nothing to report.")
    plan = read_plan(experiment.plan)
    metrics = plan.chosen_metrics()
    aggregates = aggregates_by_arm(experiment.pk, metrics=metrics, as_of=as_of)
    arms = _arm_facts(plan, aggregates)
    return build_report(
        _facts(experiment, plan, as_of),
        arms=arms,
        metrics=metrics,
        sums={arm: found.sums for arm, found in aggregates.items()},
        exposures=exposures_by_arm(experiment.pk, as_of=as_of),
    )


def aggregates_by_arm(
    experiment_id: int, *, metrics: Sequence[Metric], as_of: datetime
) -> dict[str, ArmAggregate]:
    """Return by arm key what the metrics need, in one query over assignments and the event log.

    An assignment counts for a metric once its window has ended by as_of. Only events that had been
    received by as_of count, so a report at a past instant stays what it was. Arms that nobody was
    drawn into are left out.
    """
    with connection.cursor() as cursor:
        cursor.execute(_frequencies_sql(metrics), _parameters(experiment_id, metrics, as_of))
        rows = cursor.fetchall()
    found: dict[str, list[dict[int | None, int]]] = {}
    for arm, place, number, assignments in rows:
        by_metric = found.setdefault(arm, [{} for _ in metrics])
        by_metric[place][None if number is None else int(number)] = assignments
    return {arm: _aggregate(metrics, by_metric) for arm, by_metric in found.items()}


def _aggregate(
    metrics: Sequence[Metric], by_metric: Sequence[Mapping[int | None, int]]
) -> ArmAggregate:
    """Return the aggregate of one arm: by metric, how many have each number, None: they wait."""
    return ArmAggregate(
        sum(by_metric[0].values()),
        {
            metric.key: Sums.of((k, v) for k, v in numbers.items() if k is not None)
            for metric, numbers in zip(metrics, by_metric, strict=True)
        },
    )


def counted_units(
    experiment_id: int, *, metric: Metric, as_of: datetime
) -> list[tuple[str, str, bool]]:
    """Return unit key, arm key and whether it is the control's, of each assignment that counts."""
    counted = Assignment.objects.filter(
        experiment=experiment_id, assigned_at__lte=as_of - metric.window
    )
    rows = counted.order_by("id").values_list("unit_key", "arm__key", "arm__is_control")
    return [(str(unit_key), arm, is_control) for unit_key, arm, is_control in rows]


def exposures_by_arm(experiment_id: int, *, as_of: datetime) -> dict[str, dict[str, Exposures]]:
    """Return, by arm key and outcome, how many deliveries ended so, and of how many learners."""
    found = Assignment.objects.filter(
        experiment=experiment_id, assigned_at__lte=as_of, exposures__at__lte=as_of
    )
    counted = found.values_list("arm__key", "exposures__outcome").annotate(
        deliveries=Count("exposures"), learners=Count("id", distinct=True)
    )
    by_arm: dict[str, dict[str, Exposures]] = {}
    for arm, outcome, deliveries, learners in counted:
        by_arm.setdefault(arm, {})[outcome] = Exposures(deliveries, learners)
    return by_arm


def _frequencies_sql(metrics: Sequence[Metric]) -> str:
    """Return a SELECT of arm, metric's place, number of events, and how many have that number."""
    places = range(len(metrics))
    return f"""
WITH outcome AS MATERIALIZED (
    SELECT assigned.arm_id, assigned.assigned_at, {", ".join(map(_total_sql, places, metrics))}
    FROM experiments_assignment assigned
    LEFT JOIN activity_event event ON event.enrollment_id = assigned.enrollment_id
        AND event.verb = ANY (%(verbs)s)
        AND event.received_at <= %(as_of)s
        AND (event.verb <> ALL (%(first_verbs)s) OR {_FIRST_OF_MODULE})
        AND event.occurred_at >= assigned.assigned_at
        AND event.occurred_at < assigned.assigned_at + make_interval(secs => %(longest)s)
    WHERE assigned.experiment_id = %(experiment_id)s AND assigned.assigned_at <= %(as_of)s
    GROUP BY assigned.id
), counted AS (
    {" UNION ALL ".join(map(_counted_sql, places))}
)
SELECT arm.key, counted.place, counted.number, counted.assignments
FROM counted JOIN experiments_arm arm ON arm.id = counted.arm_id
"""


def _total_sql(place: int, metric: Metric) -> str:
    # Numeric: the square of a total of large counts does not fit into eight bytes.
    amount = "1::numeric" if metric.first_only else "event.count::numeric"
    # Seconds, not days: an interval of days follows the session's time zone over a clock change.
    return f"""COALESCE(sum({amount}) FILTER (WHERE event.verb = %(verb_{place})s
        AND event.occurred_at < assigned.assigned_at + make_interval(secs => %(window_{place})s)
    ), 0) AS total_{place}"""


def _counted_sql(place: int) -> str:
    ended = f"assigned_at + make_interval(secs => %(window_{place})s) <= %(as_of)s"
    return f"""
    SELECT arm_id, {place} AS place, CASE WHEN {ended} THEN total_{place} END AS number,
        count(*) AS assignments
    FROM outcome GROUP BY arm_id, number"""


def _parameters(experiment_id: int, metrics: Sequence[Metric], as_of: datetime) -> dict[str, Any]:
    seconds = [metric.window.total_seconds() for metric in metrics]
    return {
        "experiment_id": experiment_id,
        "as_of": as_of,
        "verbs": sorted({metric.verb for metric in metrics}),
        "first_verbs": sorted({metric.verb for metric in metrics if metric.first_only}),
        "longest": max(seconds),
        **{f"verb_{place}": metric.verb for place, metric in enumerate(metrics)},
        **{f"window_{place}": window for place, window in enumerate(seconds)},
    }


def _facts(experiment: Experiment, plan: Plan, as_of: datetime) -> ExperimentFacts:
    # What the plan promised, not what the row says today.
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
