"""Transitions that have nothing to start and nothing to end."""

from collections.abc import Collection
from typing import Any

from django.db import connection

# Most learners who enter a segment again have had its cadence, and most who leave one have no run
# to end. An enrollment is busy as soon as one of its transitions could do anything; to take an idle
# one for busy costs time, the other way round a message would be missing.
_IDLE = """
WITH open AS (
    SELECT transition.id, transition.enrollment_id, transition.segment_id, segment.playbook_id,
        transition.kind, transition.cause,
        (transition.starts AND course.clock_stopped_at IS NULL
            AND course.live_since <= transition.occurred_at) IS TRUE AS starts
    FROM segmentation_transition AS transition
    JOIN segmentation_segment AS segment ON segment.id = transition.segment_id
    JOIN activity_enrollment AS enrollment ON enrollment.id = transition.enrollment_id
    JOIN activity_course AS course ON course.id = enrollment.course_id
    WHERE transition.enrollment_id = ANY(%(ids)s) AND transition.processed_at IS NULL
), busy AS (
    SELECT open.enrollment_id FROM open
    WHERE open.starts AND open.kind = 'enter' AND EXISTS (
        SELECT FROM experiments_experiment AS experiment
        WHERE experiment.status = 'running' AND (experiment.segment_id = open.segment_id
                OR experiment.playbook_id = open.playbook_id)
            AND NOT EXISTS (
                SELECT FROM experiments_assignment AS assignment
                WHERE assignment.experiment_id = experiment.id
                    AND assignment.enrollment_id = open.enrollment_id
            )
    ) OR open.starts AND EXISTS (
        SELECT FROM interventions_cadence AS cadence
        WHERE cadence.status = 'active' AND cadence.trigger = open.kind
            AND cadence.segment_id = open.segment_id
            AND (cadence.arm_id IS NULL OR EXISTS (
                SELECT FROM experiments_assignment AS assignment
                WHERE assignment.enrollment_id = open.enrollment_id
                    AND assignment.arm_id IN (cadence.arm_id, cadence.ghost_for_id)
            ))
            AND (cadence.reentry <> 'never' OR NOT EXISTS (
                SELECT FROM interventions_run AS run
                WHERE run.cadence_id = cadence.id AND run.enrollment_id = open.enrollment_id
            ))
    ) OR (open.kind = 'leave' OR open.cause = 'course_over') AND EXISTS (
        SELECT FROM interventions_run AS run
        JOIN interventions_cadence AS cadence ON cadence.id = run.cadence_id
        WHERE run.enrollment_id = open.enrollment_id AND run.status = 'active'
            AND (open.cause = 'course_over' OR cadence.segment_id = open.segment_id)
    )
)
SELECT open.id, open.enrollment_id FROM open
WHERE open.enrollment_id NOT IN (SELECT enrollment_id FROM busy)
ORDER BY open.id
"""


def idle_transitions(enrollment_ids: Collection[int]) -> list[tuple[int, int]]:
    """Return the open transitions (id, enrollment id) of those who have only idle ones. One query.

    It holds as long as the Due rows of the enrollments stay locked.
    """
    values: dict[str, Any] = {"ids": list(enrollment_ids)}
    with connection.cursor() as cursor:
        cursor.execute(_IDLE, values)
        rows: list[tuple[int, int]] = cursor.fetchall()
    return rows
