"""Replay the messages of the last 30 days under other limits."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django.db import connection

from activity.access import Viewer, for_user
from activity.models import Course
from interventions.models import Cadence, Delivery
from interventions.policy.caps import Counted, Message
from interventions.policy.decision import Facts, Reason
from interventions.policy.expectation import Candidate
from interventions.policy.what_if import Effect, Replayed, effects
from interventions.queries.arms import capped_arms
from interventions.queries.limits import Limits

PERIOD = timedelta(days=30)
DAY = timedelta(days=1)
# So many are replayed in about two seconds.
MOST_MESSAGES = 10_000
_LIMITS = [Reason.FREQUENCY_CAP, Reason.QUIET_HOURS, Reason.SEND_WINDOW, Reason.OUTRANKED]

# The latest rows by id, because they are in the order in which they were planned: the ledger has
# no index by planned_at. A message that was dropped for another reason than a limit is replayed
# only if a limit had held it until then. It can go out until the instant at which it was dropped.
_MESSAGES = """
SELECT delivery.id, delivery.learner_id, COALESCE(NULLIF(lower(learner.email), ''),
        delivery.learner_id::text),
    COALESCE(NULLIF(learner.time_zone, ''), course.time_zone), delivery.enrollment_id,
    enrollment.course_id, step.cadence_id, delivery.channel, delivery.category_id, category.quiet,
    category.capped, delivery.priority, delivery.ghost, delivery.planned_at,
    CASE WHEN delivery.state = 'dropped' AND delivery.reason <> %(cap)s
        THEN LEAST(delivery.finished_at, delivery.expires_at) ELSE delivery.expires_at END,
    CASE WHEN delivery.looked_at >= %(most)s THEN delivery.first_planned_at END
FROM (
    SELECT *, count(*) OVER () AS looked_at,
        first_value(planned_at) OVER (ORDER BY id) AS first_planned_at
    FROM (SELECT * FROM interventions_delivery ORDER BY id DESC LIMIT %(most)s) AS latest
) AS delivery
JOIN interventions_step AS step ON step.id = delivery.step_id
JOIN interventions_category AS category ON category.id = delivery.category_id
JOIN activity_learner AS learner ON learner.id = delivery.learner_id
JOIN activity_enrollment AS enrollment ON enrollment.id = delivery.enrollment_id
JOIN activity_course AS course ON course.id = enrollment.course_id
WHERE delivery.planned_at >= %(since)s AND delivery.planned_at < %(until)s AND (
    delivery.claimed_at IS NOT NULL OR delivery.reason = ANY(%(limits)s)
    OR EXISTS (
        SELECT FROM jsonb_array_elements(delivery.trace) AS entry
        WHERE entry ->> 'reason' = ANY(%(limits)s)
    )
)
ORDER BY delivery.id
"""
# Also to others with the mailbox, of whom no message is replayed.
_COUNTED = """
SELECT COALESCE(NULLIF(lower(learner.email), ''), learner.id::text), delivery.learner_id, channel,
    category_id, enrollment.course_id, claimed_at, delivery.id
FROM interventions_delivery AS delivery
JOIN activity_learner AS learner ON learner.id = delivery.learner_id
JOIN activity_enrollment AS enrollment ON enrollment.id = delivery.enrollment_id
WHERE delivery.learner_id = ANY(ARRAY(
        SELECT id FROM activity_learner WHERE lower(email) = ANY(%(mailboxes)s)
        UNION SELECT unnest(%(learners)s::bigint[])
    ))
    AND claimed_at > %(since)s AND claimed_at < %(until)s AND delivery.id <> ALL(%(replayed)s)
ORDER BY delivery.id
"""


class _Row(NamedTuple):
    """A message of the period."""

    id: int
    learner_id: int
    mailbox: str
    zone: str
    enrollment_id: int
    course_id: int
    cadence_id: int
    channel: str
    category_id: int
    quiet: bool
    capped: bool
    priority: int
    ghost: bool
    planned_at: datetime
    expires_at: datetime
    # When the oldest message was planned that was looked at, if there may be older ones.
    cut_at: datetime | None

    @property
    def message(self) -> Message:
        """Return the properties of the message that caps depend on."""
        return Message(self.channel, self.category_id, self.course_id)


@dataclass(frozen=True)
class WhatIf:
    """The effects by course that the viewer may see. The replay goes from `since` to `until`.

    `is_past` means that no message was planned in the last 30 days, so the 30 days before are used.
    """

    since: datetime
    until: datetime
    is_cut: bool
    is_past: bool
    courses: list[tuple[Course, Effect]]


def what_if(before: Limits, after: Limits, *, viewer: Viewer, now: datetime) -> WhatIf:
    """Return what the changed limits would have done to the messages of the last 30 days.

    If none was planned in them, the 30 days up to the last planned message are replayed. Of more
    than 10,000 planned messages, only the latest are. At most seven queries.
    """
    until = end_of_period(now)
    rows = _rows(until)
    begins = until - PERIOD
    since = max(begins, (rows and rows[0].cut_at) or begins)
    replay = _Replay(rows, before, after, since, until)
    found = effects(_by_mailbox(rows, replay), until=until)
    courses = for_user(Course.objects.filter(pk__in=found), viewer).order_by("key")
    shown = [(course, found[course.pk]) for course in courses]
    return WhatIf(since, until, since > begins, until < now, shown)


class _Replay:
    """The facts of messages under both sets of limits."""

    def __init__(
        self,
        rows: Sequence[_Row],
        before: Limits,
        after: Limits,
        since: datetime,
        until: datetime,
    ) -> None:
        learners = sorted({row.learner_id for row in rows})
        self._cadences = Cadence.objects.in_bulk({row.cadence_id for row in rows})
        self._limits = [(each, capped_arms(learners, limits=each)) for each in (before, after)]
        horizon = max(before.horizon, after.horizon)
        self._counted: dict[str, list[Counted]] = defaultdict(list)
        self.as_sent: dict[str, list[Replayed]] = defaultdict(list)
        for mailbox, learner_id, counted in _counted(rows, learners, since - horizon, until):
            if counted.at < since:
                self._counted[mailbox].append(counted)
            else:
                self.as_sent[mailbox].append(_as_sent(learner_id, counted))

    def of(self, row: _Row) -> Replayed:
        """Return the message under both limits."""
        before, after = (self._candidate(row, limits, arms) for limits, arms in self._limits)
        return Replayed(row.learner_id, row.course_id, row.ghost, before, after)

    def _candidate(self, row: _Row, limits: Limits, arms: Any) -> Candidate:
        in_arms = arms.get(row.enrollment_id, frozenset())
        facts = Facts(
            message=row.message,
            zone=row.zone,
            quiet_hours=limits.quiet_hours_of(row.course_id) if row.quiet else None,
            send_window=self._cadences[row.cadence_id].send_window,
            caps=limits.caps_of(row.message, arms=in_arms, is_capped=row.capped),
            counted=tuple(self._counted[row.mailbox]),
        )
        rank = (row.priority, row.planned_at, row.id)
        return Candidate(facts, row.planned_at, row.expires_at, rank, row.id)


def end_of_period(now: datetime) -> datetime:
    """Return the end of the period: now, or the end of the day after the last planned message."""
    latest = Delivery.objects.order_by("-pk").values_list("planned_at", flat=True).first()
    if latest is None or latest >= now - PERIOD:
        return now
    # A course in a vacation, and a simulated one, have something to try a limit on too. The day
    # lets messages go out that waited for the end of quiet hours.
    return latest + DAY


def _rows(until: datetime) -> list[_Row]:
    values: dict[str, Any] = {
        "most": MOST_MESSAGES,
        "since": until - PERIOD,
        "until": until,
        "cap": Reason.FREQUENCY_CAP.value,
        "limits": [reason.value for reason in _LIMITS],
    }
    with connection.cursor() as cursor:
        cursor.execute(_MESSAGES, values)
        return [_Row(*row) for row in cursor.fetchall()]


def _by_mailbox(rows: Iterable[_Row], replay: _Replay) -> Iterator[list[Replayed]]:
    found: dict[str, list[_Row]] = defaultdict(list)
    for row in rows:
        found[row.mailbox].append(row)
    for of_one in found.values():
        yield [*map(replay.of, of_one), *replay.as_sent[of_one[0].mailbox]]


def _counted(
    rows: Sequence[_Row], learners: Sequence[int], since: datetime, until: datetime
) -> Iterator[tuple[str, int, Counted]]:
    """Yield what counts as it was sent, with its mailbox and learner. All else is replayed."""
    replayed = [row.id for row in rows]
    values: dict[str, Any] = {
        "learners": learners,
        "mailboxes": sorted({row.mailbox for row in rows}),
        "since": since,
        "until": until,
        "replayed": replayed,
    }
    with connection.cursor() as cursor:
        cursor.execute(_COUNTED, values)
        for mailbox, learner_id, *message, at, delivery_id in cursor:
            yield mailbox, learner_id, Counted(Message(*message), at, delivery_id)


def _as_sent(learner_id: int, counted: Counted) -> Replayed:
    """Return a message that was planned before the period and claimed within it.

    It goes out when it did under both limits. Like a ghost, it uses up caps and is not shown.
    """
    at, course_id = counted.at, counted.message.course_id
    facts = Facts(message=counted.message, zone="UTC")
    fixed = Candidate(facts, at, at + DAY, (0, at, 0), counted.delivery_id)
    return Replayed(learner_id, course_id, ghost=True, before=fixed, after=fixed)
