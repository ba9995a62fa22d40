"""Plain functions that make the objects of the experiments app."""

from collections.abc import Mapping
from datetime import datetime
from itertools import count
from typing import Any

from activity.models import Course, Enrollment
from experiments.models import Arm, Assignment, Experiment
from experiments.starting import lock_protocol_and_run
from experiments.stats.comparison import MEANS, RATES, Family
from experiments.stats.estimate import Estimate
from experiments.stats.sufficient import Counts, Moments
from segmentation.models import Playbook, Segment
from tests.factories import NOW, make_enrollment

HALVES = {"control": 0.5, "nudge": 0.5}
RULE = {"combinator": "and", "rules": [{"field": "active_days", "operator": "<", "value": 1}]}

_numbers = count(1)


def make_segment(*courses: Course, playbook: Playbook | None = None) -> Segment:
    """Return a draft segment of a playbook of the courses."""
    number = next(_numbers)
    playbook = playbook or Playbook.objects.create(key=f"playbook-{number}", name="Playbook")
    playbook.courses.add(*courses)
    return Segment.objects.create(
        playbook=playbook, key=f"segment-{number}", name=f"Segment {number}", rule=RULE
    )


def make_experiment(
    weights: Mapping[str, float] = HALVES, *, control: str = "control", **fields: Any
) -> Experiment:
    """Return a draft experiment with these arms on a segment of its own."""
    number = next(_numbers)
    values: dict[str, Any] = {
        "key": f"experiment-{number}",
        "name": "A nudge",
        "seed": f"s{number}",
    }
    if not {"segment", "playbook"} & fields.keys():
        values["segment"] = make_segment()
    experiment = Experiment.objects.create(**{**values, **fields})
    for position, (key, weight) in enumerate(weights.items()):
        Arm.objects.create(
            experiment=experiment,
            key=key,
            weight=str(weight),
            is_control=key == control,
            position=position,
        )
    return experiment


def running_experiment(
    weights: Mapping[str, float] = HALVES, *, now: datetime = NOW, **fields: Any
) -> Experiment:
    """Return an experiment that was started at `now`."""
    return lock_protocol_and_run(make_experiment(weights, **fields).pk, now=now)


def assign(
    experiment: Experiment, arm: str, at: datetime, enrollment: Enrollment | None = None
) -> Assignment:
    """Return an assignment to the named arm, made without a draw."""
    enrollment = enrollment or make_enrollment()
    return Assignment.objects.create(
        experiment=experiment,
        arm=experiment.arms.get(key=arm),
        enrollment=enrollment,
        unit_key=enrollment.unit_key,
        bucket=0,
        assigned_at=at,
    )


Outcomes = Counts | Moments


def family_of(outcomes: Outcomes) -> Family:
    return RATES if isinstance(outcomes, Counts) else MEANS


def compare(control: Outcomes, treatment: Outcomes) -> tuple[Estimate, Estimate]:
    return family_of(control).compare(control, treatment, 0.95)
