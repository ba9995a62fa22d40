"""The messages of a course: those sent since an instant, and those that wait."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection

from activity.models import Course
from interventions.models import DeliveryState
from interventions.queries.holds import OPEN_COURSE, OPEN_STEPS, learner_paused

# Each count stops there. A course may have a million planned messages.
MOST_COUNTED = 10_000

# A message that is planned again after a doubt waits, and is counted there.
_SENT = f"""
SELECT count(*) FILTER (WHERE state <> '{DeliveryState.IN_DOUBT}'),
    count(*) FILTER (WHERE state = '{DeliveryState.IN_DOUBT}')
FROM (
    SELECT delivery.state FROM interventions_delivery AS delivery
    JOIN activity_enrollment AS enrollment ON enrollment.id = delivery.enrollment_id
    WHERE delivery.claimed_at >= %(since)s AND delivery.claimed_at <= %(now)s
        AND delivery.state NOT IN (
            '{DeliveryState.GHOST}', '{DeliveryState.CLAIMED}', '{DeliveryState.PLANNED}')
        AND enrollment.course_id = %(course)s
    LIMIT %(most)s) AS found
"""  # noqa: S608
# A cadence that staff start by hand may have no segment. Its messages go to any course.
_CADENCES = """
    SELECT cadence.id FROM interventions_cadence AS cadence
    LEFT JOIN segmentation_segment AS segment ON segment.id = cadence.segment_id
    WHERE (cadence.segment_id IS NULL OR EXISTS (
        SELECT FROM segmentation_playbookcourse AS link
        WHERE link.playbook_id = segment.playbook_id AND link.course_id = %(course)s))
"""
# Step by step, because the index begins with the step.
_WAITING = f"""
WITH open_step AS MATERIALIZED ({OPEN_STEPS})
SELECT count(*), count(*) FILTER (WHERE is_held), min(send_at) FILTER (WHERE NOT is_held) FROM (
    SELECT planned.send_at, planned.is_held OR open_step.id IS NULL AS is_held
    FROM interventions_step AS step
    JOIN ({_CADENCES}) AS cadence ON cadence.id = step.cadence_id
    LEFT JOIN open_step ON open_step.id = step.id
    CROSS JOIN LATERAL (
        SELECT delivery.send_at, {learner_paused("delivery.learner_id")}
            OR ({OPEN_COURSE}) IS NOT TRUE AS is_held
        FROM interventions_delivery AS delivery
        JOIN activity_enrollment AS enrollment ON enrollment.id = delivery.enrollment_id
        JOIN activity_course AS course ON course.id = enrollment.course_id
        WHERE delivery.step_id = step.id AND delivery.state = 'planned'
            AND enrollment.course_id = %(course)s AND NOT delivery.ghost
        ORDER BY delivery.send_at LIMIT %(most)s
    ) AS planned
    LIMIT %(most)s) AS found
"""  # noqa: S608
# A step becomes a planned message only when its instant has come.
_LATER = f"""
SELECT count(*), min(next_at) FROM (
    SELECT later.next_at FROM ({_CADENCES} AND cadence.status = 'active') AS cadence
    CROSS JOIN LATERAL (
        SELECT run.next_at FROM interventions_run AS run
        JOIN activity_enrollment AS enrollment ON enrollment.id = run.enrollment_id
        WHERE run.cadence_id = cadence.id AND run.status = 'active' AND run.next_at IS NOT NULL
            AND NOT run.ghost AND enrollment.course_id = %(course)s
        LIMIT %(most)s
    ) AS later
    LIMIT %(most)s) AS found
"""  # noqa: S608


@dataclass(frozen=True)
class CourseMessages:
    """Messages that went out since an instant, and planned ones.

    `doubtful` ones may have gone out: nobody knows. Of the `waiting` ones, `held` ones wait until a
    person lifts a hold, and `next_at` is the first instant to send one of the others. `later` are
    next steps of runs whose instant has not come yet, and `later_at` the first such instant. Each
    count stops at MOST_COUNTED, which means that many or more. Ghosts do not count.
    """

    sent: int
    doubtful: int
    waiting: int
    held: int
    next_at: datetime | None
    later: int
    later_at: datetime | None


def messages_of_course(course: Course, *, since: datetime, now: datetime) -> CourseMessages:
    """Return the numbers of the course's messages. Three queries."""
    values: dict[str, Any] = {"course": course.pk, "since": since, "now": now, "most": MOST_COUNTED}
    with connection.cursor() as cursor:
        cursor.execute(_SENT, values)
        sent, doubtful = cursor.fetchone()
        cursor.execute(_WAITING, values)
        waiting, held, next_at = cursor.fetchone()
        cursor.execute(_LATER, values)
        later, later_at = cursor.fetchone()
    return CourseMessages(sent, doubtful, waiting, held, next_at, later, later_at)
