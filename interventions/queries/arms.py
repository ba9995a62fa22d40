"""The arms of learners that have a frequency cap of their own."""

from collections import defaultdict
from collections.abc import Collection, Mapping

from experiments.models import Assignment
from interventions.queries.limits import Limits


def capped_arms(learner_ids: Collection[int], *, limits: Limits) -> Mapping[int, frozenset[int]]:
    """Return by enrollment those of its arms that have a cap. One query, none without such caps."""
    if not limits.arm_ids:
        return {}
    drawn = Assignment.objects.filter(enrollment__learner__in=learner_ids, arm__in=limits.arm_ids)
    found: dict[int, set[int]] = defaultdict(set)
    for enrollment_id, arm_id in drawn.values_list("enrollment_id", "arm_id"):
        found[enrollment_id].add(arm_id)
    return {enrollment_id: frozenset(arms) for enrollment_id, arms in found.items()}
