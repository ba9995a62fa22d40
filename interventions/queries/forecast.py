"""The forecast of a nudge: which members its first message would reach, and when."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import uuid4

from activity.models import Enrollment
from interventions.models import (
    DEFAULT_MAX_AGE,
    Cadence,
    CadenceStatus,
    Category,
    Channel,
    Delivery,
    Run,
    Step,
)
from interventions.policy.durations import later
from interventions.policy.expectation import Expectation, expect
from interventions.queries.facts import facts_of
from interventions.queries.limits import read_limits
from interventions.queries.runs import zone_of
from interventions.queries.situations import read_situations

# The members whose messages are forecast. More would take longer than a page may.
MOST_FORECAST = 200
CLOCK_STOPPED = "clock_stopped"


@dataclass(frozen=True)
class Forecast:
    """The members that were looked at: those reached, the first of them, and the others."""

    looked_at: int
    reached: int
    # The enrollment that is reached first, and when.
    first: Enrollment | None
    first_at: datetime | None
    # The number of members by the reason why they would get nothing, the most frequent first.
    others: list[tuple[str, int]]


def forecast(
    members: Sequence[Enrollment], *, cadence: Cadence, delay: timedelta, now: datetime
) -> Forecast:
    """Return what the policy would do with a first message of the unsaved cadence. Seven queries.

    It takes each member as if the run started now. Learners and courses must be loaded.
    """
    results = list(_results(members, cadence, delay, now))
    reached = [(at, each) for each, at in results if isinstance(at, datetime)]
    at, first = min(reached, key=lambda pair: pair[0], default=(None, None))
    others = Counter(reason for _, reason in results if not isinstance(reason, datetime))
    return Forecast(len(members), len(reached), first, at, others.most_common())


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
    members: Sequence[Enrollment], cadence: Cadence, delay: timedelta, now: datetime
) -> Iterator[tuple[Enrollment, datetime | str]]:
    limits = read_limits()
    situations = read_situations([each.learner for each in members], limits=limits, now=now)
    for each in members:
        if each.course.clock_stopped_at is not None:
            yield each, CLOCK_STOPPED
            continue
        delivery = unsaved_delivery(each, cadence)
        facts = facts_of(
            delivery, each.learner, situations[each.learner_id], limits=limits, now=now
        )
        zone = zone_of(each)
        planned_at = later(now, delay, zone=zone)
        expires_at = later(planned_at, DEFAULT_MAX_AGE, zone=zone)
        yield each, _result(expect(facts, send_at=planned_at, expires_at=expires_at))


def _result(found: Expectation) -> datetime | str:
    if found.at is not None:
        return found.at
    return str(found.end.reason if found.end else found.waits[-1].reason)
