"""Reports of experiments, and the list of them."""

from datetime import datetime

from django.db.models import Case, Count, QuerySet, Value, When

from activity.access import Viewer, for_user
from experiments.models import Assignment, Experiment, ExperimentStatus
from experiments.protocol import ExperimentProtocol, ProtocolError, read_protocol
from experiments.queries.outcomes import ArmAggregate, aggregates_by_arm
from experiments.queries.protocols import courses_of, promise_of
from experiments.reporting.report import (
    ArmFacts,
    DeliveryCounts,
    ExperimentFacts,
    Report,
    build_report,
)

# Drafts have no start, and a database sorts nulls before or after all other values.
_RANK = Case(
    When(status=ExperimentStatus.RUNNING, then=Value(0)),
    When(status=ExperimentStatus.STOPPED, then=Value(1)),
    default=Value(2),
)


def experiments_with_sizes(*, viewer: Viewer) -> QuerySet[Experiment]:
    """Return the experiments that the viewer may see, each with `assigned`, the number drawn.

    Running experiments come first, then stopped ones, then drafts; within each the latest start.
    """
    seen = for_user(Experiment.objects.all(), viewer)
    sized = seen.select_related("segment__playbook", "playbook")
    return sized.annotate(assigned=Count("assignments"), rank=_RANK).order_by(
        "rank", "-started_at", "key"
    )


def report(experiment: Experiment, *, as_of: datetime) -> Report:
    """Return the experiment's report at the instant.

    Raise ProtocolError for an experiment that was never started, and for a protocol of a later
    release.
    """
    if not experiment.protocol:
        raise ProtocolError("The experiment was never started, so there is nothing to report.")
    protocol = read_protocol(experiment.protocol)
    metrics = protocol.chosen_metrics()
    aggregates = aggregates_by_arm(experiment.pk, metrics=metrics, as_of=as_of)
    arms = _arm_facts(protocol, aggregates)
    return build_report(
        _facts(experiment, protocol, as_of),
        arms=arms,
        metrics=metrics,
        observed={arm: found.observed for arm, found in aggregates.items()},
        deliveries=deliveries_by_arm(experiment.pk, as_of=as_of),
    )


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


def _facts(
    experiment: Experiment, protocol: ExperimentProtocol, as_of: datetime
) -> ExperimentFacts:
    # The protocol counts here. The row may have been edited after the start.
    promise = protocol.promise or promise_of(experiment)
    return ExperimentFacts(
        key=experiment.key,
        name=promise.name,
        hypothesis=promise.hypothesis,
        population=promise.population,
        is_running=experiment.status == ExperimentStatus.RUNNING,
        started_at=experiment.started_at,
        stopped_at=experiment.stopped_at,
        as_of=as_of,
        level=protocol.level,
        protocol_sha256=experiment.protocol_sha256,
        courses=courses_of(experiment),
    )


def _arm_facts(protocol: ExperimentProtocol, aggregates: dict[str, ArmAggregate]) -> list[ArmFacts]:
    return [
        ArmFacts(
            key=arm.key,
            name=arm.name or arm.key,
            is_control=arm.is_control,
            weight=arm.weight,
            assigned=aggregates[arm.key].assigned if arm.key in aggregates else 0,
        )
        for arm in protocol.arms
    ]
