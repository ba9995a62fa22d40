"""The react stage: transitions, in each enrollment's order, become draws, runs and exits."""

import logging
import time
from collections.abc import Sequence
from datetime import datetime

from django.db import transaction

from activity.models import Due, Enrollment
from common.database import is_outage
from interventions.operations.reactions import handle_transitions
from segmentation.operations import fail_transitions, mark_processed
from segmentation.queries import enrollments_to_react, open_transitions

BATCH = 200

log = logging.getLogger(__name__)


def react_due(*, now: datetime, budget_seconds: float = 30.0) -> int:
    """Handle the transitions that wait, and return how many.

    One transaction a batch of enrollments. Where it fails each enrollment has one of its own, and
    a failure puts off that enrollment alone. Stops when nothing waits or the time is used up.
    """
    deadline = time.monotonic() + budget_seconds
    handled = 0
    tried: set[int] = set()
    while time.monotonic() < deadline:
        waiting = [each for each in enrollments_to_react(now=now, limit=BATCH) if each not in tried]
        if not waiting:
            break
        tried.update(waiting)
        handled += _react_safely(waiting, now)
    return handled


def _react_safely(enrollment_ids: Sequence[int], now: datetime) -> int:
    try:
        return _react(enrollment_ids, now)
    except Exception as error:
        if is_outage(error):
            raise
        if len(enrollment_ids) > 1:
            return sum(_react_safely([each], now) for each in enrollment_ids)
        log.exception("Transitions of enrollment %s failed", enrollment_ids[0])
        waiting = [transition.pk for transition in open_transitions(enrollment_ids)]
        fail_transitions(waiting, now=now, error=f"{type(error).__name__}: {error}")
        return 0


@transaction.atomic
def _react(enrollment_ids: Sequence[int], now: datetime) -> int:
    # Whom evaluate or another worker has waits for the next beat.
    enrollments = _lock(enrollment_ids)
    transitions = open_transitions(enrollments)
    if transitions:
        handle_transitions(transitions, enrollments, now=now)
        mark_processed([transition.pk for transition in transitions], now=now)
    return len(transitions)


def _lock(enrollment_ids: Sequence[int]) -> dict[int, Enrollment]:
    """Lock the Due rows that nobody holds and return their enrollments with their courses."""
    rows = Due.objects.select_for_update(no_key=True, skip_locked=True, of=("self",))
    held = rows.select_related("enrollment__course").filter(pk__in=enrollment_ids)
    return {due.pk: due.enrollment for due in held.order_by("pk")}
