"""Check and save cadences with their steps."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import time, timedelta
from typing import Any

from django.db import connection, transaction

from common.rows import create_or_change, free_key
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

# The first number of our advisory locks. Under it keys are chosen, so that two nudges of one name
# do not get one key: the second would become a new version of the first one's template.
_KEYS_LOCK = 20257


@dataclass(frozen=True)
class StepFields:
    """One step: its template, its delay after the previous step, and its condition."""

    template: MessageTemplate
    delay: timedelta = timedelta(0)
    condition: Any = None


@dataclass(frozen=True)
class CadenceFields:
    """The fields of a cadence, except its key and its steps."""

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

    Active runs continue with the new steps from their current position.
    """
    values = {**vars(fields), "goal_rule": _checked_rule(fields.goal_rule, "The goal rule")}
    cadence = Cadence.objects.filter(key=key).first() or Cadence(key=key)
    for name, value in values.items():
        setattr(cadence, name, value)
    if not steps:
        raise InterventionError(f"The cadence '{cadence}' has no steps. Add at least one step.")
    check_cadence(cadence)
    check_steps(cadence, steps)
    cadence.save()
    _save_steps(cadence, steps)
    return cadence


@transaction.atomic
def set_cadence_status(cadence_id: int, status: CadenceStatus) -> Cadence:
    """Activate or archive the cadence. Raise InterventionError with a sentence if it must not be.

    The planned messages of a cadence that is not active are dropped when they are due.
    """
    cadence = Cadence.objects.select_related("segment__playbook", "arm", "ghost_for").get(
        pk=cadence_id
    )
    cadence.status = status
    if status == CadenceStatus.ACTIVE:
        if not cadence.steps.exists():
            raise InterventionError(f"The cadence '{cadence}' has no steps. Add at least one step.")
        check_cadence(cadence)
    cadence.save(update_fields=["status"])
    return cadence


def lock_keys() -> None:
    """Take the lock under which keys are made from names, until the transaction ends."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s, 0)", [_KEYS_LOCK])


@transaction.atomic
def free_cadence_key(name: str) -> str:
    """Return a key made from the name that no other cadence has. Save it in this transaction."""
    lock_keys()
    return free_key(Cadence.objects.all(), name, fallback="cadence")


def check_cadence(cadence: Cadence) -> None:
    """Raise InterventionError if the cadence must not be saved with these values.

    Call it in the transaction that saves the cadence. It locks the segment, so that no experiment
    can start there between the check and the commit.
    """
    if cadence.trigger != Trigger.MANUAL and cadence.segment is None:
        raise InterventionError(
            f"The cadence '{cadence}' is triggered by a segment. Choose the segment.",
            field="segment",
        )
    if cadence.reentry == Reentry.COOLDOWN and cadence.cooldown is None:
        raise InterventionError(
            f"The cadence '{cadence}' starts again after a pause. Enter the length of the pause.",
            field="cooldown",
        )
    _check_starts(cadence)
    _check_arms(cadence)
    _check_not_beside_an_experiment(cadence)


def check_steps(cadence: Cadence, steps: Iterable[StepFields]) -> None:
    """Raise InterventionError if a step does not fit its cadence."""
    for step in steps:
        # Learners choose categories, so a template must not be sent under another category.
        if step.template.category_id != cadence.category_id:
            raise InterventionError(
                f"The template '{step.template}' has the category '{step.template.category}', but "
                f"the cadence '{cadence}' has '{cadence.category}'. Both must have the same one."
            )


def _check_starts(cadence: Cadence) -> None:
    if cadence.status != CadenceStatus.ACTIVE or cadence.trigger == Trigger.MANUAL:
        return
    if cadence.segment is not None and cadence.segment.status == SegmentStatus.ARCHIVED:
        raise InterventionError(
            f"The segment '{cadence.segment}' is archived. No learner enters or leaves it, so the "
            "cadence would never start. Choose another segment, or save the cadence as a draft.",
            field="segment",
        )


def _check_arms(cadence: Cadence) -> None:
    arm, control = cadence.arm, cadence.ghost_for
    if control is None:
        return
    if arm is None or arm.experiment_id != control.experiment_id:
        raise InterventionError(
            f"The cadence '{cadence}' has ghosts in the arm '{control}', so its own arm must be "
            "another arm of the same experiment."
        )
    if not control.is_control or arm.pk == control.pk:
        raise InterventionError(
            f"Only the control arm can have ghosts, but '{control}' is a treatment arm."
        )


def _check_not_beside_an_experiment(cadence: Cadence) -> None:
    if not is_for_everybody(cadence) or cadence.segment_id is None:
        return
    lock_segments([cadence.segment_id])
    running = running_experiments([cadence.segment_id])[cadence.segment_id]
    if running:
        raise InterventionError(
            f"The experiment '{running[0]}' runs in the segment '{cadence.segment}'. A cadence "
            "without an arm would message the control learners too. Choose an arm.",
            field="arm",
        )


def is_for_everybody(cadence: Cadence) -> bool:
    """Return whether the cadence starts for every learner who enters its segment, in any arm."""
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
            f"The cadence '{cadence}' has sent messages of a step that you want to remove. Archive "
            "the cadence and create a new one, so that the record of sent messages stays complete."
        )
    surplus.delete()


def _checked_rule(rule: Any, place: str) -> Any:
    if rule is None:
        return None
    try:
        return canonical_rule(rule)
    except RuleError as error:
        raise InterventionError(f"{place}: {error}") from None
