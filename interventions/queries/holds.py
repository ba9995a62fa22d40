"""Holds that a person must lift before a message can go out: a pause, a frozen segment, no go-live.

Queries for due messages leave held messages out, so they cost nothing, however many there are. The
conditions in SQL and in Python must agree.
"""

from datetime import datetime

from interventions.models import Delivery
from interventions.policy.decision import Reason
from segmentation.models import SegmentStatus

# Few rows, read once per statement. Planned messages are then found step by step.
OPEN_STEPS = f"""
SELECT step.id FROM interventions_step AS step
JOIN interventions_cadence AS cadence ON cadence.id = step.cadence_id
LEFT JOIN segmentation_segment AS segment ON segment.id = cadence.segment_id
WHERE NOT cadence.paused AND segment.status IS DISTINCT FROM '{SegmentStatus.FROZEN}'
    AND NOT EXISTS (SELECT FROM interventions_sitepause WHERE paused)
"""  # noqa: S608

OPEN_COURSE = "course.clock_stopped_at IS NULL AND course.live_since <= %(now)s"

_PAUSED = "SELECT FROM interventions_learnerpause WHERE learner_id = {} AND ended_at IS NULL"


def learner_paused(column: str) -> str:
    """Return the SQL condition that all messages to the learner in the column are paused."""
    return f"EXISTS ({_PAUSED.format(column)})"


def hold_of(
    delivery: Delivery, *, site_paused: bool, learner_paused: bool, now: datetime
) -> Reason | None:
    """Return the hold on the message that a person must lift, or None.

    Step, cadence, segment, enrollment and course must be loaded.
    """
    course, cadence = delivery.enrollment.course, delivery.step.cadence
    frozen = cadence.segment is not None and cadence.segment.status == SegmentStatus.FROZEN
    holds = (
        (course.live_since is None or course.live_since > now, Reason.COURSE_NOT_LIVE),
        (site_paused, Reason.SITE_PAUSED),
        (learner_paused, Reason.LEARNER_PAUSED),
        (cadence.paused, Reason.CADENCE_PAUSED),
        (frozen, Reason.SEGMENT_FROZEN),
    )
    return next((reason for holds_it, reason in holds if holds_it), None)
