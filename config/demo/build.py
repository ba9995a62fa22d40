"""Configure the demo as an admin would: playbook, messages, cadences, limits and experiment."""

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

from django.db import transaction

from activity.models import Course, Enrollment
from activity.simulation.world import World
from config.demo import scenario
from experiments.models import Arm, Experiment
from interventions.models import Category, MessageTemplate
from interventions.operations import (
    CadenceFields,
    StepFields,
    save_cadence,
    save_cap,
    save_category,
    save_quiet_hours,
    save_template,
    shipped_texts,
    unsubscribe,
)
from interventions.render.links import LinkOwner
from segmentation.models import Segment
from segmentation.operations import install_playbook

# The first opt-outs come before any message, so there is no delivery with a link.
_NO_DELIVERY = UUID(int=0)


@transaction.atomic
def configure(course: Course, *, seed: int, now: datetime) -> Experiment:
    """Create everything that the stages need, and return the experiment as a draft."""
    playbook = install_playbook(
        scenario.PLAYBOOK, key=scenario.PLAYBOOK_KEY, course_keys=[course.key], now=now
    )
    segments = {segment.key: segment for segment in playbook.segments.all()}
    experiment = _create_experiment(segments[scenario.EXPERIMENT_SEGMENT], seed=seed)
    categories = {
        one.key: save_category(one.key, name=one.name, description=one.description)
        for one in scenario.CATEGORIES
    }
    _save_limits(course, categories)
    for cadence in scenario.CADENCES:
        _save_cadence(cadence, segments[cadence.segment], categories[cadence.category], experiment)
    return experiment


def opt_out(world: World, course: Course, *, now: datetime) -> None:
    """Opt out the learners who want no mail, before the course begins."""
    names = [trace.learner.external_id for trace in world.traces if trace.learner.opted_out]
    rows = Enrollment.objects.filter(course=course, learner__external_id__in=names)
    for enrollment_id, learner_id in rows.order_by("learner").values_list("id", "learner"):
        unsubscribe(LinkOwner(learner_id, enrollment_id, _NO_DELIVERY), source="roster", now=now)


def _create_experiment(segment: Segment, *, seed: int) -> Experiment:
    experiment = Experiment.objects.create(
        key=scenario.EXPERIMENT_KEY,
        name="Does a nudge bring video-only learners to the quiz?",
        hypothesis="Learners who watch without trying a quiz try one within a week of a nudge.",
        segment=segment,
        # With the key, because two experiments with the same seed would draw the same arms.
        seed=f"{scenario.EXPERIMENT_KEY}-{seed}",
    )
    for position, key in enumerate((scenario.CONTROL, scenario.NUDGE)):
        Arm.objects.create(
            experiment=experiment,
            key=key,
            name=key.capitalize(),
            weight="0.5",
            is_control=key == scenario.CONTROL,
            position=position,
        )
    return experiment


def _save_limits(course: Course, categories: Mapping[str, Category]) -> None:
    save_quiet_hours(begins=scenario.QUIET_FROM, ends=scenario.QUIET_UNTIL, course=course)
    for cap in scenario.CAPS:
        save_cap(
            cap.name,
            limit=cap.limit,
            window=cap.window,
            length=cap.length,
            on_exceed=cap.on_exceed,
            scope="category" if cap.category else "everything",
            category=categories[cap.category] if cap.category else None,
            course=course,
        )


def _save_cadence(
    wanted: scenario.DemoCadence, segment: Segment, category: Category, experiment: Experiment
) -> None:
    arms = {arm.key: arm for arm in experiment.arms.all()} if wanted.is_treatment else {}
    fields = CadenceFields(
        name=wanted.name,
        category=category,
        segment=segment,
        arm=arms.get(scenario.NUDGE),
        ghost_for=arms.get(scenario.CONTROL),
        priority=wanted.priority,
        why_now=wanted.why_now,
    )
    steps = [StepFields(_template(step, category), step.delay) for step in wanted.steps]
    save_cadence(wanted.key, fields=fields, steps=steps)


def _template(step: scenario.DemoStep, category: Category) -> MessageTemplate:
    # The subject holds Liquid, which would look like a mistake in a list.
    name = step.key.removeprefix("demo-").replace("-", " ").capitalize()
    return save_template(step.key, name=name, category=category, texts=shipped_texts(step.text))
