"""Check the values of a cadence and its steps before they are saved."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from experiments.queries import running_experiments
from interventions.models import (
    Cadence,
    CadenceStatus,
    Delivery,
    DeliveryState,
    MessageTemplate,
    Reentry,
    Step,
    Trigger,
)
from interventions.operations.errors import InterventionError
from interventions.policy.durations import duration_in_words
from interventions.policy.hours import ClosedHours
from interventions.policy.windows import SendWindow, lies_within, longest_wait
from interventions.queries.limits import read_limits
from interventions.queries.populations import lock_segments
from segmentation.models import SegmentStatus


@dataclass(frozen=True)
class StepFields:
    """One step: its template, its delay after the previous step, its condition and its branches.

    `then` and `otherwise` are places in the list of steps, counted from 0, or END_POSITION.
    """

    template: MessageTemplate
    delay: timedelta = timedelta(0)
    condition: Any = None
    then: int | None = None
    otherwise: int | None = None


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
    _check_window(cadence)
    _check_starts(cadence)
    _check_arms(cadence)
    _check_not_beside_an_experiment(cadence)


def check_steps(cadence: Cadence, steps: Iterable[StepFields]) -> None:
    """Raise InterventionError if a step does not fit its cadence. One query.

    Call it in the transaction that saves the cadence. It locks the templates: one that moves to
    another category between the check and the commit would be sent under the old one.
    """
    # Without a join: PostgreSQL looks again only at the row for which it has waited, and where that
    # row has got another category in the meantime, the join would leave it out.
    templates = MessageTemplate.objects.select_for_update(no_key=True)
    wanted = {step.template.pk for step in steps}
    for template in templates.filter(pk__in=wanted).order_by("pk"):
        # Learners choose categories, so a template must not be sent under another category.
        if template.category_id != cadence.category_id:
            raise InterventionError(
                f"The template '{template}' has the category '{template.category}', but "
                f"the cadence '{cadence}' has '{cadence.category}'. Both must have the same one."
            )


def check_channel(stored: Step | None, template: MessageTemplate) -> None:
    """Raise InterventionError if messages of the stored step wait for another channel.

    They would be dropped: no text of one channel is sent over another. One query if it differs.
    """
    if stored is None or stored.channel == template.channel:
        return
    if Delivery.objects.filter(step=stored, state=DeliveryState.PLANNED).exists():
        raise InterventionError(
            f"Messages of this step wait on the channel “{stored.get_channel_display()}”, but "
            f"“{template}” is a text of the channel “{template.get_channel_display()}”. Add it as "
            "a step of its own, or wait until no message of this step waits.",
            field="template",
        )


def check_branches(steps: Sequence[StepFields]) -> None:
    """Raise InterventionError if a step goes back, or has an "if not" without a condition."""
    for place, step in enumerate(steps):
        branches = [each for each in (step.then, step.otherwise) if each is not None]
        if branches and min(branches) <= place:
            raise InterventionError(
                f"Step {place + 1} goes on with step {min(branches) + 1}. A step can only go on "
                "with a later one, so that no learner gets the same messages for ever."
            )
        if step.otherwise is not None and step.condition is None:
            raise InterventionError(
                f"Step {place + 1} says how it goes on if its condition is not true, but it has no "
                "condition."
            )


def _check_window(cadence: Cadence) -> None:
    window = cadence.send_window
    if window is None:
        return
    wait = longest_wait(window)
    if cadence.max_age <= wait:
        raise InterventionError(
            f"A message may wait {duration_in_words(cadence.max_age)}, but up to "
            f"{duration_in_words(wait)} pass until it may be sent again, so messages would expire. "
            "Let messages wait longer, or allow more days or hours.",
            field="max_age",
        )
    quiet = _quiet_over(cadence, window)
    if quiet is not None:
        raise InterventionError(
            f"These hours lie within the quiet hours {quiet}, so nothing would ever be sent. "
            "Choose other hours.",
            field="window_until",
        )


def _quiet_over(cadence: Cadence, window: SendWindow) -> ClosedHours | None:
    """Return the quiet hours if they cover the window in every course of the cadence."""
    segment = cadence.segment
    playbook = None if segment is None else segment.playbook
    courses = list(playbook.courses.values_list("pk", flat=True)) if playbook else []
    limits = read_limits()
    hours = [limits.quiet_hours_of(course) for course in courses or [None]]
    covering = [each for each in hours if each is not None and lies_within(window, each)]
    return covering[0] if cadence.category.quiet and len(covering) == len(hours) else None


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
