"""Other running experiments among the members of one: who is in both, and in which arms."""

from collections import Counter
from collections.abc import Mapping
from datetime import datetime

from activity.access import Viewer, for_user
from experiments.metrics.definitions import Metric
from experiments.models import Assignment, Experiment, ExperimentStatus
from experiments.protocol import ExperimentProtocol
from experiments.queries.groups import GroupBy, grouped_outcomes
from experiments.randomize.balance import draw_balance
from experiments.reporting.check import Overlap
from experiments.stats.comparison import MEANS, RATES
from experiments.stats.estimate import Estimate
from experiments.stats.interactions import Part, as_moments, interaction

_NOT_IN_IT = ""


def drawn_arms(experiment: Experiment) -> dict[int, str]:
    """Return the arms of the enrollments that the experiment has drawn. One query."""
    rows = Assignment.objects.filter(experiment=experiment)
    return dict(rows.values_list("enrollment_id", "arm__key"))


def overlaps(
    experiment: Experiment,
    protocol: ExperimentProtocol,
    arms: Mapping[int, str],
    *,
    as_of: datetime,
    viewer: Viewer,
) -> list[Overlap]:
    """Return each other running experiment that shares learners or a layer with this one.

    `arms` are those of this experiment by enrollment. One query, one per other experiment, and one
    more for its interactions if this experiment has started.
    """
    running = Experiment.objects.filter(status=ExperimentStatus.RUNNING)
    others = for_user(running, viewer).exclude(pk=experiment.pk)
    found = []
    for other in others.select_related("segment__playbook", "playbook").order_by("key"):
        drawn = Assignment.objects.filter(experiment=other, enrollment__in=arms)
        pairs = drawn.values_list("enrollment_id", "arm__key")
        table: dict[str, Counter[str]] = {}
        for enrollment, arm in pairs:
            table.setdefault(arm, Counter())[arms[enrollment]] += 1
        is_excluded = experiment.layer_id is not None and experiment.layer_id == other.layer_id
        if table or is_excluded:
            effects = _interactions(experiment, protocol, other, as_of) if table else []
            keys = [arm.key for arm in protocol.arms]
            both = sum(counted.total() for counted in table.values())
            balance = draw_balance(table, arms=keys)
            found.append(Overlap(other.name, len(arms), both, is_excluded, balance, tuple(effects)))
    return found


def _interactions(
    experiment: Experiment, protocol: ExperimentProtocol, other: Experiment, as_of: datetime
) -> list[tuple[str, Estimate]]:
    """Return the differences of the effects between the arms of the other experiment."""
    metric = protocol.chosen_metrics()[0]
    if not experiment.protocol or metric.family not in (RATES, MEANS):
        return []
    by = GroupBy(_ARM_OF_OTHER, {"other_id": other.pk})
    groups = grouped_outcomes(experiment.pk, metric=metric, by=by, as_of=as_of)
    named = {arm.key: arm.own_name for arm in other.arms.order_by("position", "id")}
    first, *rest = [key for key in named if key in groups] or [_NOT_IN_IT]
    treated = [arm.key for arm in protocol.arms if not arm.is_control and arm.weight > 0]
    return [
        (
            f"in “{named[second]}” than in “{named[first]}”",
            interaction(
                _part(groups[first], protocol.control, arm, metric),
                _part(groups[second], protocol.control, arm, metric),
                level=protocol.level,
            ),
        )
        for second in rest
        for arm in treated
    ]


def _part(found: Mapping[str, object], control: str, arm: str, metric: Metric) -> Part:
    nobody = metric.observe({})
    sums = [found.get(key, nobody).sums for key in (control, arm)]  # type: ignore[attr-defined]
    return Part(*map(as_moments, sums))


_ARM_OF_OTHER = """COALESCE((
    SELECT arm.key FROM experiments_assignment AS other
    JOIN experiments_arm AS arm ON arm.id = other.arm_id
    WHERE other.experiment_id = %(other_id)s AND other.enrollment_id = assigned.enrollment_id
), '')"""
