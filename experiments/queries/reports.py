"""Reports of experiments, and the list of them."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from django.db import connection
from django.db.models import Case, IntegerField, OuterRef, QuerySet, Subquery, Value, When

from activity.access import COMMAND_LINE, Viewer, for_user, named
from experiments.design import BUCKETS, SECTION, Design
from experiments.metrics.definitions import Metric
from experiments.metrics.observed import Observed
from experiments.models import UNSENT, Assignment, Experiment, ExperimentStatus
from experiments.protocol import (
    HOLM,
    ExperimentProtocol,
    Promise,
    ProtocolError,
    read_protocol,
)
from experiments.queries.groups import BY_DRAWN_SECTION, BY_PERIOD, grouped_outcomes
from experiments.queries.looks import looking
from experiments.queries.outcomes import ArmAggregate, aggregates_by_arm
from experiments.queries.protocols import courses_of, promise_of
from experiments.queries.sections import DrawnSection, drawn_sections
from experiments.queries.share_periods import periods_of
from experiments.reporting.adaptive.comparison import with_periods
from experiments.reporting.by_section import DrawnSections, with_sections
from experiments.reporting.facts import NO_MESSAGE, ArmFacts, DeliveryCounts, ExperimentFacts, Fate
from experiments.reporting.reach import reach_metric
from experiments.reporting.report import Report, build_report, with_checks
from experiments.reporting.staying import staying_metric

# A list must not read millions of draws to show how many there are.
MOST_COUNTED = 100_000
# Drafts have no start, and a database sorts nulls before or after all other values.
_RANK = Case(
    When(status=ExperimentStatus.RUNNING, then=Value(0)),
    When(status=ExperimentStatus.STOPPED, then=Value(1)),
    default=Value(2),
)
# A message that was sent may keep the reason for which it waited before. The inner query counts per
# learner: count(DISTINCT) would sort all deliveries once more, and take four times as long.
_DELIVERIES = """
SELECT arm.key, counted.outcome, counted.reason, sum(counted.deliveries)::bigint, count(*)
FROM (
    SELECT assignment.arm_id, COALESCE(kept.outcome, %(none)s) AS outcome,
        CASE WHEN kept.outcome = ANY (%(unsent)s) THEN kept.reason ELSE '' END AS reason,
        count(kept.id) AS deliveries
    FROM experiments_assignment AS assignment
    LEFT JOIN experiments_deliveryoutcome AS kept ON kept.assignment_id = assignment.id
        AND kept.at <= %(as_of)s
    WHERE assignment.experiment_id = %(experiment_id)s AND assignment.assigned_at <= %(as_of)s
    GROUP BY assignment.id, assignment.arm_id, kept.outcome, 3
) AS counted JOIN experiments_arm AS arm ON arm.id = counted.arm_id
GROUP BY arm.key, counted.outcome, counted.reason
"""


class _NumberOf(Subquery):
    """The number of rows of a subquery, which may have a limit."""

    template = "(SELECT count(*) FROM (%(subquery)s) AS counted)"
    output_field = IntegerField()


def experiments_with_sizes(*, viewer: Viewer) -> QuerySet[Experiment]:
    """Return the experiments that the viewer may see, each with `assigned`, the number drawn.

    Counting stops at MOST_COUNTED + 1. Running experiments come first, then stopped ones, then
    drafts; within each the latest start. The courses of each are read too.
    """
    seen = for_user(Experiment.objects.all(), viewer)
    sized = named(seen.select_related("segment__playbook", "playbook"), viewer)
    drawn = Assignment.objects.filter(experiment=OuterRef("pk")).order_by().values("experiment")
    ranked = sized.annotate(assigned=_NumberOf(drawn[: MOST_COUNTED + 1]), rank=_RANK)
    return ranked.order_by("rank", "-started_at", "key")


def report(experiment: Experiment, *, as_of: datetime, viewer: Viewer = COMMAND_LINE) -> Report:
    """Return the experiment's report at the instant. It names the courses that the viewer may see.

    Raise ProtocolError for an experiment that was never started, and for a protocol of a later
    release.
    """
    if not experiment.protocol:
        raise ProtocolError("The experiment was never started, so there is nothing to report.")
    protocol = read_protocol(experiment.protocol)
    metrics, guardrails = protocol.chosen_metrics(), protocol.chosen_guardrails()
    primary = metrics[0]
    beside = [staying_metric(primary), reach_metric(primary)] if guardrails else []
    read = [*metrics, *(metric for metric, _ in guardrails), *filter(None, beside)]
    aggregates = aggregates_by_arm(experiment.pk, metrics=read, as_of=as_of)
    observed = {arm: found.observed for arm, found in aggregates.items()}
    found = build_report(
        _facts(experiment, protocol, as_of, viewer),
        arms=_arm_facts(protocol, aggregates),
        metrics=metrics,
        observed=observed,
        deliveries=deliveries_by_arm(experiment.pk, as_of=as_of),
    )
    if protocol.design.unit == SECTION:
        return _by_section(experiment, protocol, found, guardrails, observed)
    if protocol.design.adapting is not None:
        return _by_period(experiment, found, guardrails, observed, as_of)
    if not guardrails:
        return found
    anchored = aggregates_by_arm(experiment.pk, metrics=[primary], as_of=as_of, anchored=True)
    checked = with_checks(
        found,
        guardrails=guardrails,
        observed=observed,
        anchored={arm: each.observed[primary.key] for arm, each in anchored.items()},
    )
    looks = looking(experiment.pk, protocol, arms=found.arms, observed=observed, as_of=as_of)
    return replace(checked, looking=looks)


def _by_section(
    experiment: Experiment,
    protocol: ExperimentProtocol,
    found: Report,
    guardrails: Sequence[tuple[Metric, float]],
    observed: Mapping[str, Mapping[str, Observed]],
) -> Report:
    """Return the report with sections as the units. One query per metric, and one for the draws."""
    as_of = found.facts.as_of
    metrics = [*(result.metric for result in found.results), *(each for each, _ in guardrails)]
    drawn = drawn_sections(experiment, protocol, as_of=as_of)
    return with_sections(
        found,
        guardrails=guardrails,
        observed=observed,
        sectioned={
            metric.key: grouped_outcomes(
                experiment.pk, metric=metric, by=BY_DRAWN_SECTION, as_of=as_of
            )
            for metric in metrics
        },
        drawn=DrawnSections(
            Counter(each.arm for each in drawn),
            {str(each.pk): each.block for each in drawn},
            _blocks(drawn),
        ),
    )


def _blocks(drawn: Sequence[DrawnSection]) -> list[Counter[str]]:
    """Return how many sections of each block got each arm."""
    found: dict[int, Counter[str]] = {}
    for each in drawn:
        found.setdefault(each.block, Counter())[each.arm] += 1
    return list(found.values())


def _by_period(
    experiment: Experiment,
    found: Report,
    guardrails: Sequence[tuple[Metric, float]],
    observed: Mapping[str, Mapping[str, Observed]],
    as_of: datetime,
) -> Report:
    """Return the report of an adaptive draw. One query per metric, and two for the draws."""
    metrics = [*(result.metric for result in found.results), *(each for each, _ in guardrails)]
    return with_periods(
        found,
        guardrails=guardrails,
        observed=observed,
        by_period={
            metric.key: grouped_outcomes(experiment.pk, metric=metric, by=BY_PERIOD, as_of=as_of)
            for metric in metrics
        },
        periods=periods_of(experiment, as_of=as_of),
    )


def deliveries_by_arm(
    experiment_id: int, *, as_of: datetime
) -> dict[str, dict[Fate, DeliveryCounts]]:
    """Return the number of deliveries and of their learners, by arm key and fate.

    Learners without a delivery have the fate NO_MESSAGE.
    """
    values: dict[str, Any] = {
        "experiment_id": experiment_id,
        "as_of": as_of,
        "unsent": [kind.value for kind in UNSENT],
        "none": NO_MESSAGE.outcome,
    }
    with connection.cursor() as cursor:
        cursor.execute(_DELIVERIES, values)
        counted = cursor.fetchall()
    by_arm: dict[str, dict[Fate, DeliveryCounts]] = {}
    for arm, outcome, reason, deliveries, learners in counted:
        by_arm.setdefault(arm, {})[Fate(outcome, reason)] = DeliveryCounts(deliveries, learners)
    return by_arm


def _facts(
    experiment: Experiment, protocol: ExperimentProtocol, as_of: datetime, viewer: Viewer
) -> ExperimentFacts:
    # The protocol counts here. The row may have been edited after the start.
    promise, design = protocol.promise or promise_of(experiment), protocol.design
    return ExperimentFacts(
        key=experiment.key,
        name=promise.name,
        hypothesis=promise.hypothesis,
        caps=promise.caps,
        population=_population(promise, experiment),
        is_running=experiment.status == ExperimentStatus.RUNNING,
        started_at=experiment.started_at,
        stopped_at=experiment.stopped_at,
        as_of=as_of,
        level=protocol.level,
        draws_sections=design.unit == SECTION,
        is_adaptive=design.adapting is not None,
        cap_percentile=protocol.analysis.cap_percentile,
        smallest_lift=protocol.analysis.smallest_lift,
        expected_learners=protocol.analysis.expected_learners if protocol.promise else None,
        is_corrected=protocol.analysis.correction == HOLM,
        ends_at=design.end,
        most_learners=design.most_learners,
        most_sections=design.most_sections,
        looks=tuple(map(datetime.fromisoformat, protocol.analysis.looks)),
        layer_share=_layer_share(design),
        protocol_sha256=experiment.protocol_sha256,
        courses=courses_of(experiment, viewer=viewer, as_of=as_of),
    )


def _layer_share(design: Design) -> float | None:
    layer = design.layer
    return None if layer is None else 100 * (layer.end - layer.start) / BUCKETS


def _population(promise: Promise, experiment: Experiment) -> str:
    """Return the population's name in the protocol, without the key of its playbook.

    The report names the courses instead, which readers know.
    """
    if experiment.segment is None:
        return promise.population
    return promise.population.removesuffix(f" ({experiment.segment.playbook.key})")


def _arm_facts(protocol: ExperimentProtocol, aggregates: dict[str, ArmAggregate]) -> list[ArmFacts]:
    return [
        ArmFacts(
            key=arm.key,
            name=arm.name or arm.key,
            is_control=arm.is_control,
            weight=arm.weight,
            **_drawn(aggregates.get(arm.key)),
        )
        for arm in protocol.arms
    ]


def _drawn(found: ArmAggregate | None) -> dict[str, Any]:
    if found is None:
        return {"assigned": 0}
    return {"assigned": found.assigned, "first_at": found.first_at, "last_at": found.last_at}
