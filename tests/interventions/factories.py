"""Plain functions that make the objects of the interventions app."""

from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import count
from typing import Any

from activity.models import Course, Due, Enrollment, Learner
from experiments.models import Arm, Assignment, Experiment
from interventions.channels import Answer
from interventions.channels.memory import MemoryConnection, MemoryMessage, memory_channel
from interventions.models import Cadence, Category, Delivery, MessageTemplate, Run, Step
from interventions.operations import (
    CadenceFields,
    StepFields,
    save_cadence,
    save_template,
    start_experiment,
)
from interventions.operations.cache import DispatchCache
from interventions.operations.claim import Turn, claim_next
from interventions.stages.dispatch import dispatch_due
from segmentation.models import Segment, Transition
from tests.factories import NOW, make_course, make_enrollment
from tests.segmentation.factories import ACTED_TODAY, make_playbook, make_segment

LIVE_SINCE = NOW - timedelta(days=20)
SUBJECT = "Next up in {{ course.title }}"
BODY = "<p>Hello {{ learner.first_name | default: 'there' }}, here is what comes next.</p>"

_numbers = count(1)


def make_live_course(**fields: Any) -> Course:
    """Return a course in London that went live three weeks ago."""
    return make_course(**{"live_since": LIVE_SINCE, **fields})


def make_evaluated(course: Course | None = None, learner: Learner | None = None) -> Enrollment:
    """Return an enrollment in a live course whose segments are up to date."""
    return make_enrollment(course or make_live_course(), learner, due_at=None)


def make_category(**fields: Any) -> Category:
    """Return a category that needs no opt-in."""
    number = next(_numbers)
    values = {"key": f"category-{number}", "name": f"Category {number}", **fields}
    return Category.objects.create(**values)


def make_template(category: Category | None = None, **texts: tuple[str, str]) -> MessageTemplate:
    """Return a template. `texts` holds (subject, body) by locale, by default in English."""
    number = next(_numbers)
    key, name = f"template-{number}", f"Template {number}"
    category = category or make_category()
    if texts:
        texts = {"en": (SUBJECT, BODY), **texts}
        return save_template(key, name=name, category=category, texts=texts)
    # Most tests need any template. The usual texts are not checked each time.
    template = MessageTemplate.objects.create(key=key, name=name, category=category)
    template.texts.create(version=template.version, locale="en", subject=SUBJECT, body=BODY)
    return template


def make_any_segment(course: Course | None = None) -> Segment:
    """Return an active segment with some rule."""
    return make_segment(make_playbook(*([course] if course else [])), ACTED_TODAY)


def make_cadence(
    *, template: MessageTemplate | None = None, steps: int | list[StepFields] = 1, **fields: Any
) -> Cadence:
    """Return an active cadence. Several steps are a day apart."""
    template = template or make_template(fields.get("category"))
    number = next(_numbers)
    if "segment" not in fields and fields.get("trigger") != "manual":
        fields["segment"] = make_any_segment()
    if isinstance(steps, int):
        steps = [StepFields(template, timedelta(days=min(each, 1))) for each in range(steps)]
    values = {"name": f"Cadence {number}", "category": template.category, **fields}
    return save_cadence(f"cadence-{number}", fields=CadenceFields(**values), steps=steps)


def make_transition(
    enrollment: Enrollment, segment: Segment, kind: str = "enter", **fields: Any
) -> Transition:
    """Return an unprocessed transition that may start runs."""
    values = {
        "cause": "event",
        "starts": True,
        "version": 1,
        "occurred_at": NOW,
        "next_attempt_at": NOW,
        **fields,
    }
    return Transition.objects.create(enrollment=enrollment, segment=segment, kind=kind, **values)


def make_run(enrollment: Enrollment, cadence: Cadence | None = None, **fields: Any) -> Run:
    """Return a run whose only step is planned."""
    values = {"started_at": NOW, **fields}
    return Run.objects.create(cadence=cadence or make_cadence(), enrollment=enrollment, **values)


def make_delivery(
    enrollment: Enrollment | None = None,
    cadence: Cadence | None = None,
    *,
    run: Run | None = None,
    **fields: Any,
) -> Delivery:
    """Return a message that is due at NOW."""
    enrollment = enrollment or (run.enrollment if run else make_evaluated())
    run = run or make_run(enrollment, cadence)
    step = Step.objects.filter(cadence=run.cadence).first()
    values = {
        "planned_at": NOW,
        "send_at": NOW,
        "expires_at": NOW + timedelta(days=7),
        "priority": run.cadence.priority,
        "category": run.cadence.category,
        "ghost": run.ghost,
        "channel": "email",
        **fields,
    }
    if step.channel != values["channel"]:
        step.channel = values["channel"]
        step.save(update_fields=["channel"])
    return Delivery.objects.create(
        run=run, step=step, learner=enrollment.learner, enrollment=enrollment, **values
    )


def make_counted(enrollment: Enrollment, at: datetime, **fields: Any) -> Delivery:
    """Return a message that was handed off at the instant, so that caps count it."""
    return make_delivery(
        enrollment,
        state="handed_off",
        planned_at=at,
        send_at=at,
        claimed_at=at,
        finished_at=at,
        **fields,
    )


def make_experiment(segment: Segment, *, start: bool = True, **fields: Any) -> Experiment:
    """Return an experiment with a control and a treated arm of one half each."""
    number = next(_numbers)
    values: dict[str, Any] = {
        "key": f"experiment-{number}",
        "name": f"Experiment {number}",
        "seed": f"seed{number}",
        # Most tests make their cadences later, or make none.
        "differs_outside": True,
    }
    experiment = Experiment.objects.create(segment=segment, **{**values, **fields})
    for position, key in enumerate(("control", "nudge")):
        Arm.objects.create(
            experiment=experiment,
            key=key,
            weight="0.5",
            is_control=key == "control",
            position=position,
        )
    if start:
        start_experiment(experiment.pk, now=NOW)
    return experiment


def arm_of(experiment: Experiment, key: str) -> Arm:
    """Return one of the experiment's arms."""
    return Arm.objects.get(experiment=experiment, key=key)


def assign(enrollment: Enrollment, arm: Arm) -> Assignment:
    """Return an assignment that was not drawn."""
    return Assignment.objects.create(
        experiment=arm.experiment,
        arm=arm,
        enrollment=enrollment,
        unit_key=enrollment.unit_key,
        bucket=0,
        assigned_at=NOW,
    )


def dispatch(
    now: datetime = NOW,
    *,
    channel: MemoryConnection | None = None,
    answer: Callable[[MemoryMessage], Answer] | None = None,
) -> tuple[list[MemoryMessage], Counter[str]]:
    """Run the dispatch stage once at the instant. Return the sent messages and the counts."""
    channel = channel or (MemoryConnection(answer) if answer else MemoryConnection())
    already = len(channel.sent)
    counts = dispatch_due(clock=lambda: now, channels={"email": memory_channel(channel)})
    return channel.sent[already:], counts


def claim(learner_id: int, now: datetime = NOW) -> Turn:
    """Take one turn of the learner, without any hand-off."""
    cache = DispatchCache({"email": memory_channel(MemoryConnection())})
    return claim_next({learner_id: "email"}, room={"email": 1}, now=now, cache=cache)


def mark_evaluated(*enrollments: Enrollment) -> None:
    """Mark the enrollments as evaluated, because a hand-off makes them due again."""
    Due.objects.filter(pk__in=[each.pk for each in enrollments]).update(due_at=None)
