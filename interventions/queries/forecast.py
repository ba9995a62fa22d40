"""The forecast of a nudge: which members its first message would reach, and when."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import repeat
from uuid import uuid4

from activity.models import Enrollment, Learner
from common.addresses import comparable
from interventions.models import (
    DEFAULT_MAX_AGE,
    Cadence,
    CadenceStatus,
    Category,
    Channel,
    Delivery,
    DeliveryState,
    Run,
    Step,
)
from interventions.policy.durations import later
from interventions.policy.expectation import Expectation, expect_in_turn
from interventions.queries.expected_messages import candidate_of
from interventions.queries.facts import facts_of
from interventions.queries.learner_messages import RELATED
from interventions.queries.limits import Limits
from interventions.queries.runs import zone_of
from interventions.queries.situations import read_situations, with_sharing
from segmentation.models import WaitingEntry

# The members whose messages are forecast. More would take longer than a page may.
MOST_FORECAST = 200
CLOCK_STOPPED = "clock_stopped"
# The entry came with many others at once. Nothing starts before staff decide on them.
ENTRY_WAITS = "entry_waits"
# The waiting messages of all of them that are looked at.
MOST_WAITING = 2_000


@dataclass(frozen=True)
class Forecast:
    """The members that were looked at, and of their learners those reached, and the others.

    A learner who is a member with several courses is reached if a message in one of them is.
    """

    members: int
    learners: int
    reached: int
    # The enrollment that is reached first, and when.
    first: Enrollment | None
    first_at: datetime | None
    # The number of learners by the reason why they would get nothing, the most frequent first.
    others: list[tuple[str, int]]


def forecast(
    members: Sequence[Enrollment],
    *,
    cadence: Cadence,
    delay: timedelta,
    limits: Limits,
    now: datetime,
) -> Forecast:
    """Return what the policy would do with a first message of the unsaved cadence. Nine queries.

    It takes each member as if the run started now. Messages that wait for the member's mailbox
    already, also those to other learners who share it, go out in turn with it. Learners and courses
    must be loaded.
    """
    results = list(_results(members, cadence, delay, limits, now))
    reached = [(at, each) for each, at in results if isinstance(at, datetime)]
    at, first = min(reached, key=lambda pair: pair[0], default=(None, None))
    learners = {each.learner_id for _, each in reached}
    why_not = {
        each.learner_id: reason
        for each, reason in results
        if each.learner_id not in learners and not isinstance(reason, datetime)
    }
    return Forecast(
        members=len(members),
        learners=len(learners) + len(why_not),
        reached=len(learners),
        first=first,
        first_at=at,
        others=Counter(why_not.values()).most_common(),
    )


def unsaved_cadence(category: Category, **fields: object) -> Cadence:
    """Return an active cadence that is in no table, for forecasts and test mails."""
    return Cadence(category=category, status=CadenceStatus.ACTIVE, **fields)


def unsaved_delivery(enrollment: Enrollment, cadence: Cadence) -> Delivery:
    """Return a message of the cadence that is in no table."""
    return Delivery(
        key=uuid4(),
        run=Run(cadence=cadence, enrollment=enrollment),
        step=Step(cadence=cadence, channel=Channel.EMAIL),
        enrollment=enrollment,
        learner=enrollment.learner,
        category=cadence.category,
        channel=Channel.EMAIL,
        priority=cadence.priority,
    )


def _results(
    members: Sequence[Enrollment],
    cadence: Cadence,
    delay: timedelta,
    limits: Limits,
    now: datetime,
) -> Iterator[tuple[Enrollment, datetime | str]]:
    learners = with_sharing([each.learner for each in members], most=MOST_WAITING)
    waiting = _waiting(learners)
    asked = {each.learner_id for each in members} | {
        one.learner_id for group in waiting.values() for one in group
    }
    situations = read_situations([learners[pk] for pk in asked], limits=limits, now=now)
    undecided = _undecided(members, cadence)
    able = []
    for each in members:
        if each.course.clock_stopped_at is None and each.pk not in undecided:
            able.append(each)
            continue
        yield each, ENTRY_WAITS if each.pk in undecided else CLOCK_STOPPED
    for mailbox, group in _by_mailbox(able).items():
        old = waiting.get(mailbox, [])
        new = [_first_message(each, cadence, delay, now) for each in group]
        facts = [
            facts_of(
                one, learners[one.learner_id], situations[one.learner_id], limits=limits, now=now
            )
            for one in (*old, *new)
        ]
        candidates = map(candidate_of, (*old, *new), facts, repeat(now))
        yield from zip(group, map(_result, expect_in_turn([*candidates])[len(old) :]), strict=True)


def _by_mailbox(members: Sequence[Enrollment]) -> dict[str | int, list[Enrollment]]:
    """Return the members by mailbox, which uses up caps."""
    found: dict[str | int, list[Enrollment]] = {}
    for each in members:
        found.setdefault(_mailbox(each.learner), []).append(each)
    return found


def _mailbox(learner: Learner) -> str | int:
    """Return the mailbox, or without an address something that stands for the learner alone."""
    return comparable(learner.email or "") or learner.pk


def _first_message(
    enrollment: Enrollment, cadence: Cadence, delay: timedelta, now: datetime
) -> Delivery:
    new, zone = unsaved_delivery(enrollment, cadence), zone_of(enrollment)
    new.planned_at = new.send_at = later(now, delay, zone=zone)
    new.expires_at = later(new.planned_at, DEFAULT_MAX_AGE, zone=zone)
    return new


def _undecided(members: Sequence[Enrollment], cadence: Cadence) -> set[int]:
    """Return the members from whose entry nothing can start yet. One query."""
    rows = WaitingEntry.objects.filter(segment=cadence.segment, enrollment__in=members)
    return set(rows.values_list("enrollment", flat=True))


def _waiting(learners: Mapping[int, Learner]) -> dict[str | int, list[Delivery]]:
    """Return the planned messages by mailbox. One query."""
    planned = Delivery.objects.filter(learner__in=learners, state=DeliveryState.PLANNED)
    found: dict[str | int, list[Delivery]] = {}
    for each in planned.select_related(*RELATED).order_by("send_at")[:MOST_WAITING]:
        found.setdefault(_mailbox(learners[each.learner_id]), []).append(each)
    return found


def _result(found: Expectation) -> datetime | str:
    if found.at is not None:
        return found.at
    return str(found.end.reason if found.end else found.waits[-1].reason)
