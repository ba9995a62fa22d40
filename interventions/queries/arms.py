"""The arms of learners that have a frequency cap of their own."""

from collections import defaultdict
from collections.abc import Collection, Mapping

from experiments.models import Arm, Assignment
from experiments.queries import arms_now, may_hold_another
from interventions.queries.limits import Limits


def capped_arms(learner_ids: Collection[int], *, limits: Limits) -> Mapping[int, frozenset[int]]:
    """Return by enrollment those of its arms that have a cap. One query, none without such caps.

    An arm counts if it holds now: after the end of the experiment, or in another section, that may
    be another one than was drawn, which takes a few queries more.
    """
    if not limits.arm_ids:
        return {}
    experiments = Arm.objects.filter(pk__in=limits.arm_ids).values("experiment")
    rows = Assignment.objects.filter(
        enrollment__learner__in=learner_ids, experiment__in=experiments
    ).values_list("pk", "enrollment_id", "arm_id", "experiment__status", "experiment__unit")
    drawn = list(rows)
    # The protocols are read only where they are needed: these are many rows in a replay.
    others = [pk for pk, _, _, status, unit in drawn if may_hold_another(status, unit)]
    holding = _arms_now(others) if others else {}
    found: dict[int, set[int]] = defaultdict(set)
    for pk, enrollment_id, arm_id, _, _ in drawn:
        held = holding.get(pk, arm_id)
        if held in limits.arm_ids:
            found[enrollment_id].add(held)
    return {enrollment_id: frozenset(arms) for enrollment_id, arms in found.items()}


def _arms_now(assignment_ids: Collection[int]) -> dict[int, int | None]:
    found = Assignment.objects.filter(pk__in=assignment_ids)
    return arms_now(found.select_related("experiment"))
