"""How far the learners of a cadence came: planned, sent, delivered, opened, clicked, goal."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection

from activity.models import Course
from interventions.models import Cadence, DeliveryState
from interventions.queries.goals import GOAL
from segmentation.queries import match_rule
from segmentation.rules import parse

# So many learners are asked whether they have reached the goal since. More would take too long.
MOST_ASKED = 5_000
ACCEPTED = (
    DeliveryState.HANDED_OFF,
    DeliveryState.DELIVERED,
    DeliveryState.BOUNCED,
    DeliveryState.COMPLAINED,
)
WAITING = (DeliveryState.PLANNED, DeliveryState.CLAIMED)
# The messages of the steps, in the ledger and in the archive, each with its receipt.
_MESSAGES = """
    SELECT one.learner_id, one.step_id, one.enrollment_id, one.run_id, one.ghost, one.state,
        one.reason, one.planned_at, one.finished_at, receipt.delivered_at, receipt.opened_at,
        receipt.clicked_at, receipt.machine_opened_at, receipt.machine_clicked_at
    FROM interventions_delivery AS one
    LEFT JOIN interventions_receipt AS receipt ON receipt.delivery_id = one.id
    WHERE one.step_id = ANY(%(steps)s)
    UNION ALL
    SELECT learner_id, step_id, enrollment_id, run_id, ghost, state, reason, planned_at,
        finished_at, delivered_at, opened_at, clicked_at, machine_opened_at, machine_clicked_at
    FROM interventions_archiveddelivery
    WHERE step_id = ANY(%(steps)s)
"""
# What was not sent counts by its latest message; one that waits comes before one that is over.
_LEARNERS = f"""
WITH message AS (
    SELECT delivery.learner_id, delivery.step_id, delivery.ghost, assignment.arm_id,
        delivery.state = ANY(%(accepted)s) AS is_sent,
        delivery.state = 'ghost' AS is_ghosted,
        delivery.state = 'in_doubt' AS is_doubtful,
        delivery.state IN ('delivered', 'complained') OR delivery.delivered_at IS NOT NULL
            OR delivery.opened_at IS NOT NULL OR delivery.clicked_at IS NOT NULL AS is_delivered,
        delivery.opened_at IS NOT NULL OR delivery.clicked_at IS NOT NULL AS is_opened,
        delivery.clicked_at IS NOT NULL AS is_clicked,
        delivery.machine_opened_at IS NOT NULL OR delivery.machine_clicked_at IS NOT NULL
            AS is_by_machine,
        delivery.state = 'bounced' AS is_bounced,
        run.exit_reason = %(goal)s OR delivery.enrollment_id = ANY(%(reached)s) AS is_at_goal,
        concat(
            delivery.state = ANY(%(waiting)s),
            to_char(COALESCE(delivery.finished_at, delivery.planned_at) AT TIME ZONE 'UTC',
                'YYYYMMDDHH24MISSUS'),
            '|', delivery.state, '|', delivery.reason) AS latest
    FROM ({_MESSAGES}) AS delivery
    JOIN interventions_run AS run ON run.id = delivery.run_id
    JOIN activity_enrollment AS enrollment ON enrollment.id = delivery.enrollment_id
    LEFT JOIN experiments_assignment AS assignment ON assignment.id = run.assignment_id
    WHERE enrollment.course_id = ANY(%(courses)s)
), learner AS (
    SELECT ghost, step_id, arm_id, GROUPING(step_id) = 0 AS is_of_step,
        GROUPING(arm_id) = 0 AS is_of_arm, bool_or(is_sent) AS is_sent,
        bool_or(is_ghosted) AS is_ghosted, bool_or(is_doubtful) AS is_doubtful,
        bool_or(is_delivered) AS is_delivered, bool_or(is_opened) AS is_opened,
        bool_or(is_clicked) AS is_clicked, bool_or(is_by_machine) AS is_by_machine,
        bool_or(is_bounced) AS is_bounced, bool_or(is_at_goal) AS is_at_goal,
        max(latest COLLATE "C") AS latest
    FROM message
    GROUP BY GROUPING SETS (
        (learner_id, ghost), (learner_id, ghost, step_id), (learner_id, ghost, arm_id))
)
SELECT ghost, step_id, arm_id, is_of_step, is_of_arm,
    CASE WHEN is_sent THEN 'sent' WHEN is_ghosted THEN 'ghost' WHEN is_doubtful THEN 'in_doubt'
        ELSE split_part(latest, '|', 2) END AS fate,
    CASE WHEN is_sent OR is_ghosted OR is_doubtful THEN '' ELSE split_part(latest, '|', 3) END
        AS reason,
    count(*),
    count(*) FILTER (WHERE is_sent AND is_delivered),
    count(*) FILTER (WHERE is_sent AND is_opened),
    count(*) FILTER (WHERE is_sent AND is_clicked),
    count(*) FILTER (WHERE is_sent AND is_by_machine AND NOT is_opened),
    count(*) FILTER (WHERE is_sent AND is_bounced AND NOT is_delivered),
    count(*) FILTER (WHERE (is_sent OR is_ghosted) AND is_at_goal)
FROM learner GROUP BY 1, 2, 3, 4, 5, 6, 7
"""  # noqa: S608
_ASKED = f"""
SELECT DISTINCT delivery.enrollment_id, enrollment.course_id
FROM ({_MESSAGES}) AS delivery
JOIN activity_enrollment AS enrollment ON enrollment.id = delivery.enrollment_id
WHERE enrollment.course_id = ANY(%(courses)s)
    AND (delivery.state = ANY(%(accepted)s) OR delivery.state = 'ghost')
LIMIT %(most)s
"""  # noqa: S608


@dataclass(frozen=True)
class Unsent:
    """A number of learners to whom nothing was sent, with the state of their latest message."""

    state: str
    reason: str
    number: int


@dataclass(frozen=True)
class Funnel:
    """Numbers of learners, each counted once however many messages they had.

    `sent` of a ghost funnel are those to whom a message would have been sent. `opened` and
    `clicked` leave machines out; `by_machine` were opened or clicked by machines alone. A learner
    to whom nothing was sent is in `unsent`, or in `doubtful` if nobody knows.
    """

    planned: int = 0
    sent: int = 0
    delivered: int = 0
    opened: int = 0
    clicked: int = 0
    by_machine: int = 0
    bounced: int = 0
    goal: int = 0
    doubtful: int = 0
    unsent: tuple[Unsent, ...] = ()

    @property
    def has_reports(self) -> bool:
        """Return whether somebody reports what arrived. A mail server alone says nothing of it."""
        return bool(self.delivered or self.bounced)

    @property
    def has_opens(self) -> bool:
        """Return whether opens and clicks are reported."""
        return bool(self.opened or self.by_machine)


@dataclass(frozen=True)
class CadenceFunnel:
    """The funnels of a cadence: of all its steps, by step and by arm; messages and ghosts apart.

    The arm is None for runs outside of experiments. `goal_is_partial`: a learner who reached the
    goal after the last step is not counted, because there are too many to ask.
    """

    whole: Funnel
    ghosts: Funnel
    by_step: dict[int, Funnel]
    ghosts_by_step: dict[int, Funnel]
    by_arm: dict[int | None, Funnel]
    ghosts_by_arm: dict[int | None, Funnel]
    goal_is_partial: bool


@dataclass(frozen=True)
class _Row:
    ghost: bool
    step_id: int | None
    arm_id: int | None
    is_of_step: bool
    is_of_arm: bool
    fate: str
    reason: str
    number: int
    delivered: int
    opened: int
    clicked: int
    by_machine: int
    bounced: int
    goal: int


def cadence_funnel(cadence: Cadence, courses: Sequence[Course], *, now: datetime) -> CadenceFunnel:
    """Return how far the learners of the courses came. Two queries.

    With a goal rule it takes four more, and at most three for each course whose learners are asked.
    """
    values: dict[str, Any] = {
        "steps": list(cadence.steps.values_list("pk", flat=True)),
        "courses": [course.pk for course in courses],
        "accepted": [str(state) for state in ACCEPTED],
        "waiting": [str(state) for state in WAITING],
        "goal": GOAL,
        "reached": [],
        "most": MOST_ASKED + 1,
    }
    reached = _reached(cadence, courses, values, now) if cadence.goal_rule else set()
    with connection.cursor() as cursor:
        cursor.execute(_LEARNERS, {**values, "reached": sorted(reached or ())})
        rows = [_Row(*row) for row in cursor.fetchall()]
    return CadenceFunnel(
        whole=_funnel(_of(rows, ghost=False)),
        ghosts=_funnel(_of(rows, ghost=True)),
        by_step=_split(rows, "step_id", ghost=False),
        ghosts_by_step=_split(rows, "step_id", ghost=True),
        by_arm=_split(rows, "arm_id", ghost=False),
        ghosts_by_arm=_split(rows, "arm_id", ghost=True),
        goal_is_partial=reached is None,
    )


def _reached(
    cadence: Cadence, courses: Sequence[Course], values: dict[str, Any], now: datetime
) -> set[int] | None:
    """Return the enrollments for which the goal rule is true now, or None if they are too many.

    A run ends with its last step, so nothing notes a goal that is reached after it.
    """
    with connection.cursor() as cursor:
        cursor.execute(_ASKED, values)
        asked = cursor.fetchall()
    if len(asked) > MOST_ASKED:
        return None
    as_of = {course.pk: course.clock_stopped_at or now for course in courses}
    by_instant: dict[datetime, list[int]] = {}
    for enrollment_id, course_id in asked:
        by_instant.setdefault(as_of[course_id], []).append(enrollment_id)
    rule = parse(cadence.goal_rule)
    found = [match_rule(rule, enrollment_ids=ids, as_of=at) for at, ids in by_instant.items()]
    return set().union(*found)


def _of(rows: Iterable[_Row], *, ghost: bool) -> list[_Row]:
    return [row for row in rows if row.ghost == ghost and not (row.is_of_step or row.is_of_arm)]


def _split(rows: Iterable[_Row], name: str, *, ghost: bool) -> dict[Any, Funnel]:
    """Return the funnels by step or by arm."""
    found: dict[Any, list[_Row]] = {}
    for row in rows:
        is_of = row.is_of_step if name == "step_id" else row.is_of_arm
        if is_of and row.ghost == ghost:
            found.setdefault(getattr(row, name), []).append(row)
    return {key: _funnel(those) for key, those in found.items()}


def _funnel(rows: Sequence[_Row]) -> Funnel:
    through = [row for row in rows if row.fate in ("sent", "ghost")]
    others = [row for row in rows if row.fate not in ("sent", "ghost", "in_doubt")]
    unsent = [Unsent(row.fate, row.reason, row.number) for row in others]
    return Funnel(
        planned=sum(row.number for row in rows),
        sent=sum(row.number for row in through),
        delivered=sum(row.delivered for row in through),
        opened=sum(row.opened for row in through),
        clicked=sum(row.clicked for row in through),
        by_machine=sum(row.by_machine for row in through),
        bounced=sum(row.bounced for row in through),
        goal=sum(row.goal for row in through),
        doubtful=sum(row.number for row in rows if row.fate == "in_doubt"),
        unsent=tuple(sorted(unsent, key=lambda each: (-each.number, each.state, each.reason))),
    )
