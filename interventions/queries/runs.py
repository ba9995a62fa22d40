"""Runs: the earlier ones on which re-entry depends, their end, and the messages of their steps."""

from collections.abc import Collection
from datetime import datetime, timedelta

from django.db.models import Exists, F, OuterRef

from activity.models import Enrollment
from common.clock import local_date
from interventions.models import Cadence, Delivery, Run, Step, Trigger
from interventions.policy.durations import later
from interventions.queries.archive import FEWEST_DAYS
from interventions.queries.goals import GOAL

LEFT_SEGMENT = "left_segment"
# What ends a run by what the learner does.
_BY_LEARNER = (LEFT_SEGMENT, GOAL)


def last_runs(
    enrollment_ids: Collection[int], cadence_ids: Collection[int]
) -> dict[tuple[int, int], Run]:
    """Return the active run, else the last ended one, by enrollment and cadence. One query.

    `has_sent` tells of each whether a message of it went out or may have, or a ghost's would have.
    """
    sent = Delivery.objects.filter(run=OuterRef("pk"), claimed_at__isnull=False)
    runs = Run.objects.filter(enrollment__in=enrollment_ids, cadence__in=cadence_ids)
    runs = runs.annotate(has_sent=Exists(sent))
    # An active run has no end. Ordered by status, "exited" would come before a later "finished".
    ended = F("ended_at").desc(nulls_first=True)
    last = runs.order_by("enrollment_id", "cadence_id", ended, "-started_at", "-pk")
    found = last.distinct("enrollment_id", "cadence_id")
    return {(run.enrollment_id, run.cadence_id): run for run in found}


def was_for_nothing(run: Run, *, now: datetime) -> bool:
    """Return whether the learner left or reached the goal before the run sent anything.

    Such a run has given nothing to wait after. The run must come from `last_runs`; for others, and
    for old ones, whose messages may be in the archive, it is not known, so they count.
    """
    if run.exit_reason not in _BY_LEARNER or run.ended_at is None or run.waits_until is not None:
        return False
    is_in_ledger = now - run.ended_at < timedelta(days=FEWEST_DAYS)
    return is_in_ledger and not getattr(run, "has_sent", True)


def is_over(cadence: Cadence, enrollment: Enrollment, *, now: datetime) -> bool:
    """Return whether the course is over for a run of the cadence. The course must be loaded.

    A run that staff started goes on: it may be about what comes after the course.
    """
    if cadence.trigger == Trigger.MANUAL:
        return False
    course = enrollment.course
    is_completed = enrollment.completed_at is not None and enrollment.completed_at <= now
    return is_completed or local_date(now, course.time_zone) > course.ends_on


def zone_of(enrollment: Enrollment) -> str:
    """Return the zone of the learner's days. Learner and course must be loaded."""
    return enrollment.learner.time_zone or enrollment.course.time_zone


def delivery_of(run: Run, step: Step, *, planned_at: datetime) -> Delivery:
    """Return the unsaved message of a run's step, as it is planned.

    The cadence and the enrollment of the run must be loaded, with learner and course.
    """
    return Delivery(
        run=run,
        step=step,
        learner=run.enrollment.learner,
        enrollment=run.enrollment,
        category_id=run.cadence.category_id,
        channel=step.channel,
        priority=run.cadence.priority,
        ghost=run.ghost,
        planned_at=planned_at,
        send_at=planned_at,
        expires_at=later(planned_at, run.cadence.max_age, zone=zone_of(run.enrollment)),
    )
