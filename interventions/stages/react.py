"""The react stage: turn each enrollment's transitions, in order, into draws, runs and exits."""

import logging
import time
from collections.abc import Sequence
from datetime import datetime

from django.db import transaction

from activity.models import Due, Enrollment
from common.database import is_held, is_outage, note_held, wait_shortly
from interventions.operations.reactions import handle_transitions
from segmentation.operations import fail_transitions, mark_processed
from segmentation.queries import enrollments_to_react, open_transitions

BATCH_SIZE = 200

log = logging.getLogger(__name__)


def react_due(*, now: datetime, budget_seconds: float = 30.0) -> int:
    """Handle the waiting transitions, and return their number.

    Each batch of enrollments is one transaction, the longest waiting first. Enrollments locked by
    another transaction are skipped until the next beat. A failure postpones only its enrollment.
    It stops when no transition waits or the time is used up.
    """
    deadline = time.monotonic() + budget_seconds
    handled, waiting = 0, enrollments_to_react(now=now, limit=BATCH_SIZE)
    while waiting.enrollment_ids and time.monotonic() < deadline:
        handled += _react_safely(waiting.enrollment_ids, now, deadline)
        if waiting.after is None:
            break
        waiting = enrollments_to_react(now=now, limit=BATCH_SIZE, after=waiting.after)
    return handled


def _react_safely(enrollment_ids: Sequence[int], now: datetime, deadline: float) -> int:
    """Handle the batch. Split a failing batch in halves, down to the enrollment that fails."""
    if not enrollment_ids or time.monotonic() >= deadline:
        return 0
    try:
        return _react(enrollment_ids, now)
    except Exception as error:
        if is_outage(error) and not is_held(error):
            raise
        half = len(enrollment_ids) // 2
        if half:
            parts = (enrollment_ids[:half], enrollment_ids[half:])
            return sum(_react_safely(part, now, deadline) for part in parts)
        if is_held(error):
            note_held()
            return 0
        log.exception("Transitions of enrollment %s failed", enrollment_ids[0])
        waiting = [transition.pk for transition in open_transitions(enrollment_ids)]
        fail_transitions(waiting, now=now, error=f"{type(error).__name__}: {error}")
        return 0


@transaction.atomic
def _react(enrollment_ids: Sequence[int], now: datetime) -> int:
    wait_shortly()
    # Enrollments locked by evaluate or another worker wait for the next beat.
    enrollments = _lock(enrollment_ids)
    transitions = open_transitions(enrollments)
    handled = handle_transitions(transitions, enrollments, now=now) if transitions else []
    mark_processed([transition.pk for transition in handled], now=now)
    return len(handled)


def _lock(enrollment_ids: Sequence[int]) -> dict[int, Enrollment]:
    """Lock the free Due rows. Return their enrollments with courses and learners."""
    rows = Due.objects.select_for_update(no_key=True, skip_locked=True, of=("self",))
    held = rows.select_related("enrollment__course", "enrollment__learner").filter(
        pk__in=enrollment_ids
    )
    return {due.pk: due.enrollment for due in held.order_by("pk")}
