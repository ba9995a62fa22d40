"""Other running experiments among the members of one: who is in both, and in which arms."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from math import nan
from typing import Any

from django.db.models import Count

from activity.access import Viewer, for_user
from experiments.design import ADAPTIVE, SECTION
from experiments.metrics.definitions import Metric
from experiments.metrics.observed import Observed
from experiments.models import Assignment, Experiment, ExperimentStatus
from experiments.protocol import ExperimentProtocol
from experiments.queries.groups import GroupBy, grouped_outcomes
from experiments.randomize.balance import draw_balance
from experiments.reporting.check import Overlap
from experiments.stats.estimate import Estimate
from experiments.stats.interactions import Part, interaction
from experiments.stats.sufficient import Moments

AsMoments = Callable[[Any], Moments]
_NOT_IN_IT = ""
_ADAPTS = "the shares of an adaptive draw change, so its arms depend on the day of the draw"
_IN_SECTIONS = "whole sections are drawn, and learners of one section are alike"


def overlaps(
    experiment: Experiment,
    protocol: ExperimentProtocol,
    planned: Mapping[int, str],
    *,
    as_of: datetime,
    viewer: Viewer,
) -> list[Overlap]:
    """Return each other running experiment that shares learners or a layer with this one.

    `planned` are the arms by enrollment that a draft would draw. If this experiment has started,
    those that it has drawn count instead, and its effect is compared between the other's arms. Two
    queries, and three per other experiment.
    """
    running = Experiment.objects.filter(status=ExperimentStatus.RUNNING)
    others = for_user(running, viewer).exclude(pk=experiment.pk)
    has_started = bool(experiment.protocol)
    members = experiment.assignments.count() if has_started else len(planned)
    found = []
    for other in others.select_related("segment__playbook", "playbook").order_by("key"):
        table = _of_draws(experiment, other) if has_started else _of_plan(planned, other)
        is_excluded = experiment.layer_id is not None and experiment.layer_id == other.layer_id
        if table or is_excluded:
            balance = draw_balance(table, arms=[arm.key for arm in protocol.arms])
            effects: list[tuple[str, Estimate]] = []
            if SECTION in (experiment.unit, other.unit):
                balance = replace(balance, p_value=nan, reason=_IN_SECTIONS)
            elif ADAPTIVE in (experiment.method, other.method):
                balance = replace(balance, p_value=nan, reason=_ADAPTS)
            elif table and has_started:
                effects = _interactions(experiment, protocol, other, as_of)
            both = sum(counted.total() for counted in table.values())
            found.append(Overlap(other.name, members, both, is_excluded, balance, tuple(effects)))
    return found


# The number of enrollments by the other experiment's arm and the own one.
_Table = dict[str, Counter[str]]


def _of_plan(planned: Mapping[int, str], other: Experiment) -> _Table:
    drawn = Assignment.objects.filter(experiment=other, enrollment__in=planned)
    table: _Table = {}
    for enrollment, arm in drawn.values_list("enrollment_id", "arm__key"):
        table.setdefault(arm, Counter())[planned[enrollment]] += 1
    return table


def _of_draws(experiment: Experiment, other: Experiment) -> _Table:
    """Return the table of two experiments that have drawn. The database counts a million draws."""
    both = Assignment.objects.filter(
        experiment=other, enrollment__assignments__experiment=experiment
    )
    pairs = both.order_by().values_list("arm__key", "enrollment__assignments__arm__key")
    table: _Table = {}
    for arm, own, number in pairs.annotate(number=Count("pk")):
        table.setdefault(arm, Counter())[own] = number
    return table


def _interactions(
    experiment: Experiment, protocol: ExperimentProtocol, other: Experiment, as_of: datetime
) -> list[tuple[str, Estimate]]:
    """Return the differences of the effects between the arms of the other experiment."""
    metric = protocol.chosen_metrics()[0]
    as_moments = metric.family.as_moments
    if as_moments is None:
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
                _part(groups[first], (protocol.control, arm), metric, as_moments),
                _part(groups[second], (protocol.control, arm), metric, as_moments),
                level=protocol.level,
            ),
        )
        for second in rest
        for arm in treated
    ]


def _part(
    found: Mapping[str, Observed], arms: tuple[str, str], metric: Metric, as_moments: AsMoments
) -> Part:
    nobody = metric.observe({})
    sums = [found.get(key, nobody).sums for key in arms]
    return Part(*(as_moments(each) for each in sums))


_ARM_OF_OTHER = """COALESCE((
    SELECT arm.key FROM experiments_assignment AS other
    JOIN experiments_arm AS arm ON arm.id = other.arm_id
    WHERE other.experiment_id = %(other_id)s AND other.enrollment_id = assigned.enrollment_id
), '')"""
