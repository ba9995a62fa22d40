"""Save cadences."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import time, timedelta
from typing import Any

from django.db import transaction

from common.rows import create_or_change
from experiments.models import Arm
from experiments.queries import running_experiments
from interventions.models import (
    DEFAULT_MAX_AGE,
    Cadence,
    CadenceStatus,
    Category,
    Delivery,
    MessageTemplate,
    Reentry,
    Step,
    Trigger,
)
from interventions.operations.errors import InterventionError
from interventions.queries.populations import lock_segments
from segmentation.models import Segment, SegmentStatus
from segmentation.rules import RuleError, canonical_rule


@dataclass(frozen=True)
class StepFields:
    """One step: its template, its delay after the step before, and a rule it depends on."""

    template: MessageTemplate
    delay: timedelta = timedelta(0)
    condition: Any = None


@dataclass(frozen=True)
class CadenceFields:
    """What a cadence is made of, besides its key and its steps."""

    name: str
    category: Category
    segment: Segment | None = None
    trigger: str = Trigger.ENTER
    arm: Arm | None = None
    ghost_for: Arm | None = None
    priority: int = 100
    why_now: str = ""
    reentry: str = Reentry.NEVER
    cooldown: timedelta | None = None
    exit_on_leave: bool = True
    goal_rule: Any = None
    window_from: time | None = None
    window_until: time | None = None
    max_age: timedelta = DEFAULT_MAX_AGE
    status: str = CadenceStatus.ACTIVE


@transaction.atomic
def save_cadence(key: str, *, fields: CadenceFields, steps: Sequence[StepFields]) -> Cadence:
    """Create or change a cadence with its steps. Raise InterventionError with a sentence.

    Runs under way go on with the new steps from where they are.
    """
    values = {**vars(fields), "goal_rule": _checked_rule(fields.goal_rule, "The goal rule")}
    cadence = Cadence.objects.filter(key=key).first() or Cadence(key=key)
    for name, value in values.items():
        setattr(cadence, name, value)
    if not steps:
        raise InterventionError(f"The cadence '{cadence}' has no steps: it would send nothing.")
    check_cadence(cadence)
    check_steps(cadence, steps)
    cadence.save()
    _save_steps(cadence, steps)
    return cadence


def check_cadence(cadence: Cadence) -> None:
    """Raise InterventionError where the cadence, as it is to be saved, may not be.

    Call it in the transaction that saves: it locks the segment, so that no experiment can start
    there between the check and the commit.
    """
    if cadence.trigger != Trigger.MANUAL and cadence.segment is None:
        raise InterventionError(
            f"The cadence '{cadence}' starts by a segment: choose one.", field="segment"
        )
    if cadence.reentry == Reentry.COOLDOWN and cadence.cooldown is None:
        raise InterventionError(
            f"The cadence '{cadence}' starts again after a pause: say how long.",
            field="cooldown",
        )
    _check_starts(cadence)
    _check_arms(cadence)
    _check_not_beside_an_experiment(cadence)


def check_steps(cadence: Cadence, steps: Iterable[StepFields]) -> None:
    """Raise InterventionError where a step does not fit its cadence."""
    for step in steps:
        # Learners say yes and no to categories: a template must not slip in under another one.
        if step.template.category_id != cadence.category_id:
            raise InterventionError(
                f"The template '{step.template}' is of the category '{step.template.category}', "
                f"the cadence '{cadence}' of '{cadence.category}'. They must be of the same."
            )


def _check_starts(cadence: Cadence) -> None:
    if cadence.status != CadenceStatus.ACTIVE or cadence.trigger == Trigger.MANUAL:
        return
    if cadence.segment is not None and cadence.segment.status == SegmentStatus.ARCHIVED:
        raise InterventionError(
            f"The segment '{cadence.segment}' is archived: nobody enters or leaves it, and the "
            "cadence would never start. Choose another segment, or save the cadence as a draft.",
            field="segment",
        )


def _check_arms(cadence: Cadence) -> None:
    arm, control = cadence.arm, cadence.ghost_for
    if control is None:
        return
    if arm is None or arm.experiment_id != control.experiment_id:
        raise InterventionError(
            f"The cadence '{cadence}' has ghosts in the arm '{control}': it must itself be for "
            "an arm of the same experiment."
        )
    if not control.is_control or arm.pk == control.pk:
        raise InterventionError(f"Ghosts run in the control arm only; '{control}' is treated.")


def _check_not_beside_an_experiment(cadence: Cadence) -> None:
    if not is_for_everybody(cadence) or cadence.segment_id is None:
        return
    lock_segments([cadence.segment_id])
    running = running_experiments([cadence.segment_id])[cadence.segment_id]
    if running:
        raise InterventionError(
            f"The experiment '{running[0]}' runs in the segment '{cadence.segment}'. A cadence "
            "without an arm would message its control learners too: choose an arm.",
            field="arm",
        )


def is_for_everybody(cadence: Cadence) -> bool:
    """Return whether the cadence starts for all who enter its segment, whatever their arm."""
    return (
        cadence.status == CadenceStatus.ACTIVE
        and cadence.trigger == Trigger.ENTER
        and cadence.arm_id is None
    )


def _save_steps(cadence: Cadence, steps: Sequence[StepFields]) -> None:
    for position, step in enumerate(steps):
        values = {
            "delay": step.delay,
            "template": step.template,
            "channel": step.template.channel,
            "condition": _checked_rule(step.condition, f"The condition of step {position + 1}"),
        }
        create_or_change(Step.objects.all(), values, cadence=cadence, position=position)
    surplus = Step.objects.filter(cadence=cadence, position__gte=len(steps))
    if Delivery.objects.filter(step__in=surplus).exists():
        raise InterventionError(
            f"The cadence '{cadence}' has sent messages of a step that you take out. Archive the "
            "cadence and make a new one, so that the record of what was sent stays whole."
        )
    surplus.delete()


def _checked_rule(rule: Any, place: str) -> Any:
    if rule is None:
        return None
    try:
        return canonical_rule(rule)
    except RuleError as error:
        raise InterventionError(f"{place}: {error}") from None
