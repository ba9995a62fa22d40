"""The messages of a course: those sent since an instant, and those that wait."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection

from activity.models import Course
from interventions.models import DeliveryState

# Each count stops there. A course may have a million planned messages.
MOST_COUNTED = 10_000

_SENT = f"""
SELECT count(*) FROM (
    SELECT FROM interventions_delivery AS delivery
    JOIN activity_enrollment AS enrollment ON enrollment.id = delivery.enrollment_id
    WHERE delivery.claimed_at >= %(since)s AND delivery.claimed_at <= %(now)s
        AND delivery.state NOT IN ('{DeliveryState.GHOST}', '{DeliveryState.CLAIMED}')
        AND enrollment.course_id = %(course)s
    LIMIT %(most)s) AS found
"""  # noqa: S608
# Step by step, because the index begins with the step.
_WAITING = """
SELECT count(*), min(send_at) FROM (
    SELECT planned.send_at FROM interventions_step AS step
    JOIN interventions_cadence AS cadence ON cadence.id = step.cadence_id
    JOIN segmentation_segment AS segment ON segment.id = cadence.segment_id
    JOIN segmentation_playbookcourse AS link
        ON link.playbook_id = segment.playbook_id AND link.course_id = %(course)s
    CROSS JOIN LATERAL (
        SELECT delivery.send_at FROM interventions_delivery AS delivery
        JOIN activity_enrollment AS enrollment ON enrollment.id = delivery.enrollment_id
        WHERE delivery.step_id = step.id AND delivery.state = 'planned'
            AND enrollment.course_id = %(course)s
            AND NOT EXISTS (
                SELECT FROM interventions_run AS run WHERE run.id = delivery.run_id AND run.ghost)
        ORDER BY delivery.send_at LIMIT %(most)s
    ) AS planned
    LIMIT %(most)s) AS found
"""


@dataclass(frozen=True)
class CourseMessages:
    """Messages that went out since an instant, and planned ones with the first instant to send.

    Each count stops at MOST_COUNTED, which means that many or more. Ghosts do not count.
    """

    sent: int
    waiting: int
    next_at: datetime | None


def messages_of_course(course: Course, *, since: datetime, now: datetime) -> CourseMessages:
    """Return the numbers of the course's messages. Two queries."""
    values: dict[str, Any] = {"course": course.pk, "since": since, "now": now, "most": MOST_COUNTED}
    with connection.cursor() as cursor:
        cursor.execute(_SENT, values)
        (sent,) = cursor.fetchone()
        cursor.execute(_WAITING, values)
        waiting, next_at = cursor.fetchone()
    return CourseMessages(sent, waiting, next_at)
