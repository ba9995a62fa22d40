"""Holds that a person must lift before a message can go out: a pause, a frozen segment, no go-live.

Queries for due messages leave held messages out, so they cost nothing, however many there are. The
conditions in SQL and in Python must agree.
"""

from datetime import datetime
from typing import Any

from django.db.models import Case, CharField, Exists, F, OuterRef, Q, QuerySet, Value, When

from interventions.models import Delivery, DeliveryState, LearnerPause, SitePause
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

# The reasons that `with_reasons` puts in place of a planned message's own one.
HOLD_REASONS = frozenset(
    {
        Reason.COURSE_NOT_LIVE,
        Reason.SITE_PAUSED,
        Reason.LEARNER_PAUSED,
        Reason.CADENCE_PAUSED,
        Reason.SEGMENT_FROZEN,
    }
)

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


def with_reasons(deliveries: QuerySet[Delivery], *, now: datetime) -> QuerySet[Any]:
    """Return the messages with `reason_now`: the hold on a planned message, else its own reason.

    The policy does not decide on held messages, so their rows have no reason for the hold.
    """
    paused = LearnerPause.objects.filter(learner=OuterRef("learner"), ended_at=None)
    course, cadence = "enrollment__course__live_since", "step__cadence"
    holds: tuple[tuple[Any, Reason], ...] = (
        (Q(**{course: None}) | Q(**{f"{course}__gt": now}), Reason.COURSE_NOT_LIVE),
        (Exists(SitePause.objects.filter(paused=True)), Reason.SITE_PAUSED),
        (Exists(paused), Reason.LEARNER_PAUSED),
        (Q(**{f"{cadence}__paused": True}), Reason.CADENCE_PAUSED),
        (Q(**{f"{cadence}__segment__status": SegmentStatus.FROZEN}), Reason.SEGMENT_FROZEN),
    )
    planned = Q(state=DeliveryState.PLANNED)
    found = [When(planned & Q(held), then=Value(reason.value)) for held, reason in holds]
    return deliveries.annotate(
        reason_now=Case(*found, default=F("reason"), output_field=CharField())
    )
