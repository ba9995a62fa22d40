"""Holds on messages: a pause, a frozen segment, a course that is not live, events that do not come.

Queries for due messages leave held messages out, so they cost nothing, however many there are. The
conditions in SQL and in Python must agree.
"""

from datetime import datetime
from typing import Any

from django.db.models import (
    Case,
    CharField,
    Exists,
    F,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    Value,
    When,
)

from activity.models import Course
from interventions.models import Delivery, DeliveryState, LearnerPause, SitePause, Step
from interventions.policy.decision import Reason
from segmentation.models import SegmentStatus

# Few rows, read once per statement. Planned messages are then found step by step.
OPEN_STEPS = f"""
SELECT step.id, (
    cadence.segment_id IS NOT NULL OR cadence.goal_rule IS NOT NULL OR step.condition IS NOT NULL
) AS needs_feed
FROM interventions_step AS step
JOIN interventions_cadence AS cadence ON cadence.id = step.cadence_id
LEFT JOIN segmentation_segment AS segment ON segment.id = cadence.segment_id
WHERE NOT cadence.paused AND segment.status IS DISTINCT FROM '{SegmentStatus.FROZEN}'
    AND NOT EXISTS (SELECT FROM interventions_sitepause WHERE paused)
"""  # noqa: S608

# It needs OPEN_STEPS as "open_step". A message that depends on no rule does not wait for events.
OPEN_COURSE = """course.clock_stopped_at IS NULL AND course.live_since <= %(now)s
    AND (open_step.needs_feed AND course.feed_held_since <= %(now)s) IS NOT TRUE"""

# A condition or a goal would be asked about events that are missing: a step of a learner who acted
# would be dropped for good, and a goal such as "not active for a week" would end the run. As
# `asks_missing_events`, of a "run" whose step is due.
ASKS_MISSING_EVENTS = """course.feed_held_since <= %(now)s AND (EXISTS (
    SELECT FROM interventions_cadence AS cadence
    WHERE cadence.id = run.cadence_id AND cadence.goal_rule IS NOT NULL
) OR EXISTS (
    SELECT FROM interventions_step AS step
    WHERE step.cadence_id = run.cadence_id AND step.condition IS NOT NULL
        AND step.position = (
            SELECT min(position) FROM interventions_step AS following
            WHERE following.cadence_id = run.cadence_id AND following.position >= run.next_position
        )
))"""

# The reasons that `with_reasons` puts in place of a planned message's own one.
HOLD_REASONS = frozenset(
    {
        Reason.COURSE_NOT_LIVE,
        Reason.SITE_PAUSED,
        Reason.LEARNER_PAUSED,
        Reason.CADENCE_PAUSED,
        Reason.SEGMENT_FROZEN,
        Reason.FEED_SILENT,
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
        (_needs_feed(delivery) and is_feed_held(course, now), Reason.FEED_SILENT),
    )
    return next((reason for holds_it, reason in holds if holds_it), None)


def asks_missing_events(now: datetime) -> Q:
    """Return the condition that a run's next step asks about events that do not come.

    It asks if it has a condition or its cadence a goal.
    """
    # If the step was removed meanwhile, the next one takes its place.
    following = Step.objects.filter(
        cadence=OuterRef(OuterRef("cadence")), position__gte=OuterRef(OuterRef("next_position"))
    )
    asks = Step.objects.filter(
        pk=Subquery(following.order_by("position").values("pk")[:1]), condition__isnull=False
    )
    has_goal = Q(cadence__goal_rule__isnull=False)
    return Q(has_goal | Exists(asks), enrollment__course__feed_held_since__lte=now)


def is_feed_held(course: Course, now: datetime) -> bool:
    """Return whether messages of the course wait, because its events do not come as usual."""
    return course.feed_held_since is not None and course.feed_held_since <= now


def _needs_feed(delivery: Delivery) -> bool:
    cadence, step = delivery.step.cadence, delivery.step
    has_rule = cadence.goal_rule is not None or step.condition is not None
    return has_rule or cadence.segment_id is not None or cadence.segment is not None


def with_reasons(deliveries: QuerySet[Delivery], *, now: datetime) -> QuerySet[Any]:
    """Return the messages with `reason_now`: the hold on a planned message, else its own reason.

    The policy does not decide on held messages, so their rows have no reason for the hold.
    """
    planned = Q(state=DeliveryState.PLANNED)
    found = [When(planned & Q(held), then=Value(reason.value)) for held, reason in _holds(now)]
    return deliveries.annotate(
        reason_now=Case(*found, default=F("reason"), output_field=CharField())
    )


def hold_condition(reason: Reason, *, now: datetime) -> Q:
    """Return the condition that a planned message is held for this reason, and maybe for others.

    Beside `reason_now` it says the same in a way that leads the planner to few messages.
    """
    return next(Q(held) for held, each in _holds(now) if each == reason)


def _holds(now: datetime) -> tuple[tuple[Any, Reason], ...]:
    """Return the conditions of the holds, the first that is true being the reason."""
    paused = LearnerPause.objects.filter(learner=OuterRef("learner"), ended_at=None)
    course, cadence = "enrollment__course__live_since", "step__cadence"
    return (
        (Q(**{course: None}) | Q(**{f"{course}__gt": now}), Reason.COURSE_NOT_LIVE),
        (Exists(SitePause.objects.filter(paused=True)), Reason.SITE_PAUSED),
        (Exists(paused), Reason.LEARNER_PAUSED),
        (Q(**{f"{cadence}__paused": True}), Reason.CADENCE_PAUSED),
        (Q(**{f"{cadence}__segment__status": SegmentStatus.FROZEN}), Reason.SEGMENT_FROZEN),
        (_waits_for_feed(now), Reason.FEED_SILENT),
    )


def _waits_for_feed(now: datetime) -> Q:
    needs = (
        Q(step__cadence__segment__isnull=False)
        | Q(step__cadence__goal_rule__isnull=False)
        | Q(step__condition__isnull=False)
    )
    return Q(enrollment__course__feed_held_since__lte=now) & needs
