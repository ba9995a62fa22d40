"""Experiments whose messages do nothing, from the draw to the report, and how often they "work".

Every learner does what chance and their section say, whatever the arm. So a report that finds a
difference is wrong, and may be in one experiment in twenty.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from uuid import UUID

import numpy as np

from activity.models import Course, Due, Enrollment, Learner, Section
from activity.operations import ingest
from experiments.models import Arm, ExclusionLayer, Experiment
from experiments.queries import report
from experiments.reporting.report import Report
from interventions.channels.memory import MemoryConnection, memory_channel
from interventions.models import MessageTemplate
from interventions.operations import CadenceFields, StepFields, save_cadence, start_experiment
from interventions.stages.dispatch import dispatch_due
from interventions.stages.plan import plan_due
from interventions.stages.react import react_due
from segmentation.stages.evaluate import evaluate_due
from tests.factories import NOW, make_course, make_event
from tests.interventions.factories import LIVE_SINCE, make_template
from tests.segmentation.factories import ACTED_TODAY, make_playbook, make_segment

SEED = 20_261_130
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
RATE, MEAN = "quiz_attempted_7d", "quiz_attempts_7d"
# How the arms of an experiment are drawn, by the name of its row.
METHODS = {
    "by hash": {"method": "hash"},
    "in blocks by prior attempts": {"method": "blocks", "strata": "trait attempts"},
    "whole sections": {"method": "cluster", "unit": "section"},
}
# Attempts per learner and week. The rates of sections vary, so learners of one are alike.
_ATTEMPTS, _BETWEEN = 0.8, 0.3
# Ids that no sequence gives: the layer is drawn by the id of the learner, in every run the same.
_FIRST_ID = 2_000_000_000
# In seconds. Beats would come again, and this runs each stage once.
_LONG = 3600.0


@dataclass(frozen=True)
class Size:
    """How many courses with one experiment for each method, and what each course has."""

    courses: int
    sections: int
    learners: int

    @property
    def experiments(self) -> int:
        """Return the number of experiments."""
        return self.courses * len(METHODS)


@dataclass(frozen=True)
class SameArms:
    """The experiments by how they draw, after all stages have run."""

    experiments: dict[str, list[Experiment]]
    enrollments: list[Enrollment]

    def reports(self) -> Iterator[tuple[str, Report]]:
        """Yield the report of each experiment after its windows, with how it draws."""
        for method, experiments in self.experiments.items():
            for each in experiments:
                yield method, report(each, as_of=NOW + 9 * DAY)


def run(size: Size, *, seed: int = SEED) -> SameArms:
    """Draw, message and observe the learners of all experiments, through every stage once."""
    rng = np.random.default_rng(seed)
    enrollments = [each for place in range(size.courses) for each in _classes(rng, place, size)]
    template = make_template()
    found: dict[str, list[Experiment]] = {method: [] for method in METHODS}
    for course in Course.objects.order_by("pk"):
        for method, experiment in zip(METHODS, _experiments(course, template), strict=True):
            found[method].append(experiment)
    # The first evaluation starts nothing.
    evaluate_due(now=NOW, budget_seconds=_LONG)
    _ingest([make_event(each, "LOGIN", occurred_at=NOW + HOUR) for each in enrollments])
    at = NOW + 2 * HOUR
    evaluate_due(now=at, budget_seconds=_LONG)
    react_due(now=at, budget_seconds=_LONG)
    plan_due(now=at, budget_seconds=_LONG)
    # With one connection each message would be a turn of its own.
    lines = replace(memory_channel(MemoryConnection()), connections=lambda: 16)
    dispatch_due(clock=lambda: at, channels={"email": lines}, budget_seconds=_LONG)
    _attempt(rng, enrollments)
    return SameArms(found, enrollments)


def _classes(rng: np.random.Generator, place: int, size: Size) -> list[Enrollment]:
    """Return the enrollments of a course, spread over its sections."""
    course = make_course(key=f"same-{place}", live_since=LIVE_SINCE)
    sections = Section.objects.bulk_create(
        Section(course=course, key=f"class-{number}") for number in range(size.sections)
    )
    first = _FIRST_ID + place * size.learners
    learners = Learner.objects.bulk_create(
        Learner(id=pk, external_id=f"same-{pk}", email=f"same-{pk}@example.org")
        for pk in range(first, first + size.learners)
    )
    enrollments = Enrollment.objects.bulk_create(
        Enrollment(
            course=course,
            learner=learner,
            section=sections[number % size.sections],
            unit_key=UUID(bytes=rng.bytes(16), version=4),
            enrolled_at=LIVE_SINCE,
            traits={"attempts": int(rng.integers(3))},
        )
        for number, learner in enumerate(learners)
    )
    Due.objects.bulk_create(Due(enrollment=each, due_at=NOW) for each in enrollments)
    return enrollments


def _experiments(course: Course, template: MessageTemplate) -> Iterator[Experiment]:
    """Yield a started experiment of each method. A layer shares the learners out among them."""
    segment = make_segment(make_playbook(course), ACTED_TODAY)
    layer = ExclusionLayer.objects.create(key=course.key, name=course.key, seed=course.key)
    edges = [f"{place / len(METHODS):.4f}" for place in range(len(METHODS) + 1)]
    for place, design in enumerate(METHODS.values()):
        key = f"{course.key}-{place}"
        experiment = Experiment.objects.create(
            key=key, name=key, seed=key, segment=segment, layer=layer,
            layer_start=edges[place], layer_end=edges[place + 1],
            other_outcomes=[MEAN], guardrails="", **design,
        )  # fmt: skip
        control, nudge = (
            Arm.objects.create(
                experiment=experiment, key=arm, weight="0.5", is_control=arm == "control",
                position=number,
            )
            for number, arm in enumerate(("control", "nudge"))
        )  # fmt: skip
        fields = CadenceFields(
            name=key, category=template.category, segment=segment, arm=nudge, ghost_for=control
        )
        save_cadence(key, fields=fields, steps=[StepFields(template)])
        yield start_experiment(experiment.pk, now=NOW)


def _attempt(rng: np.random.Generator, enrollments: Sequence[Enrollment]) -> None:
    """Let the learners attempt quizzes, as often as chance and their section say."""
    sections = sorted({each.section_id or 0 for each in enrollments})
    rates = rng.gamma(1 / _BETWEEN, _ATTEMPTS * _BETWEEN, len(sections))
    expected = dict(zip(sections, rates.tolist(), strict=True))
    attempts = rng.poisson([expected[each.section_id or 0] for each in enrollments])
    _ingest(
        [
            make_event(each, "ATTEMPT_QUIZ", occurred_at=NOW + 2 * DAY, count=int(number))
            for each, number in zip(enrollments, attempts, strict=True)
            if number
        ]
    )


def _ingest(events: list[dict[str, object]]) -> None:
    for first in range(0, len(events), 1000):
        batch = events[first : first + 1000]
        result = ingest(batch, now=max(each["occurred_at"] for each in batch))  # type: ignore[type-var]
        assert result.stored == len(batch)
