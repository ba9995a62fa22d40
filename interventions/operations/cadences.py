"""Check and save cadences with their steps."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import time, timedelta
from typing import Any

from django.db import connection, transaction

from common.rows import create_or_change, free_key
from experiments.models import Arm
from interventions.models import (
    DEFAULT_MAX_AGE,
    ArchivedDelivery,
    Cadence,
    CadenceStatus,
    Category,
    Delivery,
    Reentry,
    Step,
    Trigger,
)
from interventions.operations.cadence_checks import (
    StepFields,
    check_branches,
    check_cadence,
    check_channel,
    check_steps,
)
from interventions.operations.errors import InterventionError
from segmentation.models import Segment
from segmentation.rules import RuleError, canonical_rule

# The first number of our advisory locks. Under it keys are chosen, so that two nudges of one name
# do not get one key: the second would become a new version of the first one's template.
_KEYS_LOCK = 20257


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
    weekdays: Sequence[int] = ()
    max_age: timedelta = DEFAULT_MAX_AGE
    status: str = CadenceStatus.ACTIVE


@transaction.atomic
def save_cadence(key: str, *, fields: CadenceFields, steps: Sequence[StepFields]) -> Cadence:
    """Create or change a cadence with its steps. Raise InterventionError with a sentence.

    Active runs continue with the new steps from their current position.
    """
    goal_rule = _checked_rule(fields.goal_rule, "The goal rule")
    values = {**vars(fields), "goal_rule": goal_rule, "weekdays": sorted(fields.weekdays)}
    cadence = Cadence.objects.filter(key=key).first() or Cadence(key=key)
    for name, value in values.items():
        setattr(cadence, name, value)
    if not steps:
        raise InterventionError(f"The cadence '{cadence}' has no steps. Add at least one step.")
    check_cadence(cadence)
    check_steps(cadence, steps)
    check_branches(steps)
    cadence.save()
    _save_steps(cadence, steps)
    return cadence


@transaction.atomic
def set_cadence_status(cadence_id: int, status: CadenceStatus) -> Cadence:
    """Activate or archive the cadence. Raise InterventionError with a sentence if it must not be.

    The planned messages of a cadence that is not active are dropped when they are due.
    """
    cadence = Cadence.objects.select_related(
        "segment__playbook", "arm", "ghost_for", "category"
    ).get(pk=cadence_id)
    cadence.status = status
    if status == CadenceStatus.ACTIVE:
        if not cadence.steps.exists():
            raise InterventionError(f"The cadence '{cadence}' has no steps. Add at least one step.")
        check_cadence(cadence)
        # A template may have moved to another category while the cadence was archived.
        steps = cadence.steps.select_related("template")
        check_steps(cadence, [StepFields(each.template) for each in steps])
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


def _save_steps(cadence: Cadence, steps: Sequence[StepFields]) -> None:
    for position, step in enumerate(steps):
        values = {
            "delay": step.delay,
            "template": step.template,
            "channel": step.template.channel,
            "condition": _checked_rule(step.condition, f"The condition of step {position + 1}"),
            "then_position": step.then,
            "otherwise_position": step.otherwise,
        }
        stored = Step.objects.filter(cadence=cadence, position=position).first()
        check_channel(stored, step.template)
        create_or_change(Step.objects.all(), values, cadence=cadence, position=position)
    surplus = Step.objects.filter(cadence=cadence, position__gte=len(steps))
    kept = (model.objects.filter(step__in=surplus) for model in (Delivery, ArchivedDelivery))
    if any(rows.exists() for rows in kept):
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
