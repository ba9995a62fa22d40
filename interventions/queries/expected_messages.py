"""When the waiting messages of a learner will go out, and which messages use up their caps."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from sys import maxsize

from django.db.models.functions import Lower

from activity.access import Viewer, for_user
from activity.models import Enrollment, Learner
from common.addresses import comparable
from common.clock import END_OF_INSTANTS
from interventions.channels import CHANNELS
from interventions.models import Delivery, DeliveryState, Run
from interventions.policy.caps import Cap, Counted, horizon
from interventions.policy.decision import Defer, Facts, Reason
from interventions.policy.expectation import (
    Candidate,
    Expectation,
    expect_in_turn,
    used_up_by,
)
from interventions.queries.facts import Situation, facts_of, read_situation
from interventions.queries.learner_messages import RELATED
from interventions.queries.limits import Limits, read_limits
from interventions.queries.runs import delivery_of
from interventions.queries.situations import counted_messages, read_situations

MOST_WAITING = 20


@dataclass(frozen=True)
class CapUse:
    """A message that uses up a cap, and when it was or is expected to be sent."""

    delivery: Delivery
    at: datetime

    @property
    def is_to_come(self) -> bool:
        return self.delivery.claimed_at is None


@dataclass(frozen=True)
class Waiting:
    """A waiting message, its expectation, and the messages that use up the cap it waits for."""

    delivery: Delivery
    expectation: Expectation
    used_by: list[CapUse]


def waiting_messages(learner: Learner, *, now: datetime, viewer: Viewer) -> list[Waiting]:
    """Return the learner's waiting messages of all courses in the order in which they go out.

    Those that do not go out come last. Each one is decided on as if those before it had gone out,
    also those to other learners with the same mailbox, because caps are counted by mailbox. Seven
    queries, and five more if such a learner has a message that waits.
    """
    planned = Delivery.objects.filter(learner__in=_sharing(learner), state=DeliveryState.PLANNED)
    ordered = planned.select_related(*RELATED, "learner").order_by("send_at", "priority", "pk")
    deliveries = list(ordered[:MOST_WAITING])
    found = _decided(learner, deliveries, now=now, viewer=viewer, in_turn=True)
    own = [each for each in found if each.delivery.learner_id == learner.pk]
    return sorted(own, key=lambda each: each.expectation.at or END_OF_INSTANTS)


def _sharing(learner: Learner) -> list[int]:
    """Return the ids of the learner and of all others with the same mailbox. At most one query.

    As a subquery the planner would read all waiting messages of the site.
    """
    mailbox = comparable(learner.email or "")
    rows = Learner.objects.annotate(mailbox=Lower("email")).filter(mailbox=mailbox)
    others = rows.values_list("pk", flat=True) if mailbox else ()
    return sorted({learner.pk, *others})


def first_messages(
    runs: Sequence[Run], enrollment: Enrollment, *, now: datetime, viewer: Viewer
) -> list[Waiting]:
    """Return when the first message of each run would go out, if only this run were started.

    The runs are not stored. Learner and course must be loaded. Four queries.
    """
    deliveries = [_first_delivery(run, enrollment, now) for run in runs]
    return _decided(enrollment.learner, deliveries, now=now, viewer=viewer, in_turn=False)


def _first_delivery(run: Run, enrollment: Enrollment, now: datetime) -> Delivery:
    step = next(s for s in run.cadence.steps.all() if s.position == run.next_position)
    step.cadence, run.enrollment = run.cadence, enrollment
    found = delivery_of(run, step, planned_at=run.next_at or now)
    found.category = run.cadence.category
    return found


def used_up_at(delivery: Delivery, cap_name: str, *, at: datetime, viewer: Viewer) -> list[CapUse]:
    """Return the messages that used up the cap when it held back or dropped this one.

    Four queries. Without such a cap, because it was renamed, the list is empty.
    """
    limits = read_limits()
    cap = _cap(limits.caps, cap_name)
    if cap is None:
        return []
    # Also those to others with the mailbox: a cap holds for all of them together.
    found = counted_messages([delivery.learner], since=at - horizon(cap))[delivery.learner_id]
    counted = tuple(each for each in found if each.delivery_id != delivery.pk)
    users = used_up_by(cap, counted, before=at)
    return _uses(users, _named(users, viewer))


def _decided(
    learner: Learner,
    deliveries: Sequence[Delivery],
    *,
    now: datetime,
    viewer: Viewer,
    in_turn: bool,
) -> list[Waiting]:
    """Decide on the messages. `in_turn` counts each one for those that go out after it."""
    if not deliveries:
        return []
    limits = read_limits()
    situations = _situations(learner, deliveries, limits=limits, now=now)
    waiting = [
        candidate_of(one, facts_of(one, one.learner, situation, limits=limits, now=now), now)
        for one in deliveries
        for situation in (situations[one.learner_id],)
    ]
    groups = [waiting] if in_turn else [[each] for each in waiting]
    expected = [each for group in groups for each in expect_in_turn(group)]
    sent = [
        Counted(one.facts.message, each.at, one.delivery_id)
        for one, each in zip(waiting, expected, strict=True)
        if in_turn and each.at is not None
    ]
    found = [
        (delivery, each, _users(one, each, sent, now))
        for delivery, one, each in zip(deliveries, waiting, expected, strict=True)
    ]
    named = _named([user for *_, users in found for user in users], viewer)
    return [
        Waiting(delivery, expectation, _uses(users, named))
        for delivery, expectation, users in found
    ]


def _situations(
    learner: Learner, deliveries: Sequence[Delivery], *, limits: Limits, now: datetime
) -> Mapping[int, Situation]:
    """Return the situations of the learner and of those whose messages are among these."""
    others = {one.learner_id: one.learner for one in deliveries if one.learner_id != learner.pk}
    addresses = {name: channel.address(learner) for name, channel in CHANNELS.items()}
    ids = [one.enrollment_id for one in deliveries if one.learner_id == learner.pk]
    own = {learner.pk: read_situation(learner, ids, addresses, limits=limits, now=now)}
    if not others:
        return own
    return {**read_situations([*others.values()], limits=limits, now=now), **own}


def candidate_of(delivery: Delivery, facts: Facts, now: datetime) -> Candidate:
    """Return the message with what decides on it. The rank is the order of dispatch.

    A message that is in no table yet comes after the others of its priority and instant.
    """
    rank = (delivery.priority, delivery.planned_at, delivery.pk or maxsize)
    send_at = max(delivery.send_at, now)
    return Candidate(facts, send_at, delivery.expires_at, rank, delivery.pk)


def _users(
    one: Candidate, expectation: Expectation, sent: Iterable[Counted], now: datetime
) -> list[Counted]:
    """Return the messages that use up the last cap in the way, also those that will be `sent`."""
    decisions = (*expectation.waits, expectation.end)
    capped = [each for each in decisions if each and each.reason == Reason.FREQUENCY_CAP]
    if not capped:
        return []
    cap = _cap(one.facts.caps, capped[-1].detail)
    until = capped[-1].until if isinstance(capped[-1], Defer) else now
    others = [each for each in sent if each.delivery_id != one.delivery_id]
    counted = (*one.facts.counted, *others)
    return [] if cap is None else used_up_by(cap, counted, before=max(until, now))


def _cap(caps: Iterable[Cap], name: str) -> Cap | None:
    return next((cap for cap in caps if cap.name == name), None)


def _named(counted: Iterable[Counted], viewer: Viewer) -> dict[int, Delivery]:
    """Return those of the messages that the viewer may see, with their templates. One query."""
    ids = {each.delivery_id for each in counted if each.delivery_id is not None}
    rows = for_user(Delivery.objects.filter(pk__in=ids), viewer)
    return rows.select_related("step__template").in_bulk() if ids else {}


def _uses(users: Iterable[Counted], named: dict[int, Delivery]) -> list[CapUse]:
    found = [
        CapUse(named[each.delivery_id], each.at)
        for each in users
        if each.delivery_id is not None and each.delivery_id in named
    ]
    return sorted(found, key=lambda use: use.at)
