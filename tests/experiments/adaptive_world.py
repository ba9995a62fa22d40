"""Adaptive experiments in which learners were drawn and attempted quizzes."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from activity.models import Enrollment
from experiments.models import Assignment, Experiment
from experiments.operations import draw_arms
from experiments.starting import lock_protocol_and_run
from tests.experiments.factories import HALVES, make_experiment, make_segment
from tests.factories import NOW, all_act, make_course, make_enrollment

WEEKS_LATER = NOW + timedelta(days=8)


def adaptive(weights: Mapping[str, float] = HALVES, **fields: Any) -> Experiment:
    """Return a running adaptive experiment that may change its shares from draw 20 on."""
    values: dict[str, Any] = {
        "method": "adaptive", "burn_in": 20, "share_batch": 20,
        "segment": make_segment(make_course()), "other_outcomes": [],
        "guardrails": "unsubscribed_7d 0.02",
        "seed": "golden",
    }  # fmt: skip
    return lock_protocol_and_run(make_experiment(weights, **values | fields).pk, now=NOW)


def course_of(experiment: Experiment) -> Any:
    assert experiment.segment is not None
    return experiment.segment.playbook.courses.get()


def new_ids(experiment: Experiment, number: int) -> list[int]:
    """Return new enrollments, always with the same keys, so that the same arms are drawn."""
    course, first = course_of(experiment), Enrollment.objects.count()
    keys = [UUID(int=first + place) for place in range(number)]
    return [make_enrollment(course, due_at=None, unit_key=key).pk for key in keys]


def enter(experiment: Experiment, number: int, *, at: datetime) -> list[Assignment]:
    """Draw so many new learners at once, and return their assignments in the order of draws."""
    return sorted(
        draw_arms(experiment.pk, new_ids(experiment, number), now=at).values(),
        key=lambda row: row.position or 0,
    )


def attempt(rows: list[Assignment], *, arm: str = "nudge") -> None:
    """Let each learner of the arm attempt a quiz an hour after the draw."""
    by_instant: dict[datetime, list[Enrollment]] = {}
    for row in rows:
        if row.arm.key == arm:
            by_instant.setdefault(row.assigned_at, []).append(row.enrollment)
    for at, enrollments in by_instant.items():
        all_act(enrollments, "ATTEMPT_QUIZ", at=at + timedelta(hours=1))


def grow(**fields: Any) -> tuple[Experiment, list[Assignment]]:
    """Return an experiment whose nudge works, with 20 learners drawn before and 30 after."""
    experiment = adaptive(**fields)
    first = enter(experiment, 20, at=NOW)
    attempt(first)
    return experiment, [*first, *enter(experiment, 30, at=WEEKS_LATER)]
