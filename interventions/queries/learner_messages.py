"""The messages of one enrollment for staff, and when those that wait will go out."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Max, Prefetch, Q
from django.db.models.functions import Coalesce

from activity.access import Viewer, for_user
from activity.models import Enrollment, Learner
from interventions.channels import CHANNELS
from interventions.models import (
    Cadence,
    CadenceStatus,
    Delivery,
    DeliveryState,
    Run,
    RunStatus,
    Step,
    Trigger,
)
from interventions.policy.caps import Cap, Counted, horizon
from interventions.policy.decision import Defer, Facts, Reason
from interventions.policy.durations import later
from interventions.policy.expectation import Expectation, expect, used_up_by
from interventions.queries.facts import facts_of, message_of, read_situation
from interventions.queries.limits import read_limits
from interventions.queries.runs import zone_of

MOST_WAITING = 20
MOST_COUNTED = 100
MOST = 200

_ENDED = Coalesce("finished_at", "claimed_at", "planned_at")
_RELATED = (
    "step__template",
    "step__cadence__segment__playbook",
    "run__cadence__segment__playbook",
    "run__assignment__arm__experiment",
    "category",
    "enrollment__course",
)


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

    Each one is decided on as if those before it had gone out. At most seven queries.
    """
    planned = Delivery.objects.filter(learner=learner, state=DeliveryState.PLANNED)
    ordered = planned.select_related(*_RELATED).order_by("send_at", "priority", "pk")
    deliveries = list(ordered[:MOST_WAITING])
    if not deliveries:
        return []
    return _decided(learner, deliveries, now=now, viewer=viewer)


def number_waiting(learner_id: int) -> int:
    """Return how many messages to the learner wait, at most 100. One query."""
    planned = Delivery.objects.filter(learner=learner_id, state=DeliveryState.PLANNED)
    return planned.order_by()[:MOST_COUNTED].count()


def first_message(run: Run, enrollment: Enrollment, *, now: datetime, viewer: Viewer) -> Waiting:
    """Return when the first message of a run that is not stored yet would go out.

    Learner and course must be loaded. At most six queries.
    """
    step = next(s for s in run.cadence.steps.all() if s.position == run.next_position)
    step.cadence, run.enrollment = run.cadence, enrollment
    planned_at = run.next_at or now
    delivery = Delivery(
        run=run,
        step=step,
        learner=enrollment.learner,
        enrollment=enrollment,
        category=run.cadence.category,
        channel=step.channel,
        priority=run.cadence.priority,
        ghost=run.ghost,
        planned_at=planned_at,
        send_at=planned_at,
        expires_at=later(planned_at, run.cadence.max_age, zone=zone_of(enrollment)),
    )
    return _decided(enrollment.learner, [delivery], now=now, viewer=viewer)[0]


def manual_cadences(course_id: int, *, viewer: Viewer) -> list[Cadence]:
    """Return the active cadences that staff can start for a learner of the course. Two queries."""
    here = Q(segment=None) | Q(segment__playbook__courses=course_id)
    rows = Cadence.objects.filter(
        here, trigger=Trigger.MANUAL, status=CadenceStatus.ACTIVE, arm=None
    )
    steps = Prefetch("steps", Step.objects.select_related("template"))
    found = for_user(rows.distinct().select_related("segment", "category"), viewer)
    return list(found.prefetch_related(steps).order_by("name", "pk")[:MOST])


def messages_between(enrollment_id: int, since: datetime, until: datetime) -> list[Delivery]:
    """Return the enrollment's messages that ended or were planned in the time. One query."""
    rows = Delivery.objects.filter(enrollment=enrollment_id).annotate(ended_at=_ENDED)
    within = rows.filter(ended_at__gte=since, ended_at__lt=until)
    return list(within.select_related(*_RELATED).order_by("-ended_at", "-pk")[:MOST])


def last_message_before(enrollment_id: int, instant: datetime) -> datetime | None:
    """Return when the last message before the instant ended or was planned. One query."""
    rows = Delivery.objects.filter(enrollment=enrollment_id).annotate(ended_at=_ENDED)
    last: datetime | None = rows.filter(ended_at__lt=instant).aggregate(at=Max("ended_at"))["at"]
    return last


def last_ended_message(enrollment_id: int) -> Delivery | None:
    """Return the enrollment's message that was sent or ended last. One query."""
    rows = Delivery.objects.filter(enrollment=enrollment_id).exclude(state=DeliveryState.PLANNED)
    return (
        rows.annotate(ended_at=_ENDED)
        .select_related(*_RELATED)
        .order_by("-ended_at", "-pk")
        .first()
    )


def active_runs(enrollment_id: int) -> list[Run]:
    """Return the enrollment's active runs with their cadences and steps. Two queries."""
    steps = Prefetch("cadence__steps", Step.objects.select_related("template"))
    rows = Run.objects.filter(enrollment=enrollment_id, status=RunStatus.ACTIVE)
    return list(rows.select_related("cadence__segment").prefetch_related(steps).order_by("pk"))


def manual_starts(enrollment_id: int, since: datetime, until: datetime) -> list[Run]:
    """Return the runs that staff started for the enrollment in the time. One query."""
    rows = Run.objects.filter(enrollment=enrollment_id, transition=None, assignment=None)
    within = rows.filter(
        started_at__gte=since, started_at__lt=until, cadence__trigger=Trigger.MANUAL
    )
    return list(within.select_related("cadence").order_by("-started_at", "-pk")[:MOST])


def used_up_at(delivery: Delivery, cap_name: str, *, at: datetime, viewer: Viewer) -> list[CapUse]:
    """Return the messages that used up the cap when it held back or dropped this one.

    Two queries. Without such a cap, because it was renamed, the list is empty.
    """
    limits = read_limits()
    cap = next((cap for cap in limits.caps if cap.name == cap_name), None)
    if cap is None:
        return []
    rows = Delivery.objects.filter(
        learner=delivery.learner_id, claimed_at__lte=at, claimed_at__gt=at - horizon(cap)
    ).exclude(pk=delivery.pk)
    counted = tuple(
        Counted(message_of(each), each.claimed_at, each.pk)
        for each in rows.select_related("enrollment")
        if each.claimed_at is not None
    )
    return _named(used_up_by(cap, counted, before=at), viewer)


def _decided(
    learner: Learner, deliveries: list[Delivery], *, now: datetime, viewer: Viewer
) -> list[Waiting]:
    limits = read_limits()
    addresses = {name: channel.address(learner) for name, channel in CHANNELS.items()}
    ids = [delivery.enrollment_id for delivery in deliveries]
    situation = read_situation(learner, ids, addresses, limits=limits, now=now)
    found = []
    for delivery in deliveries:
        facts = facts_of(delivery, learner, situation, limits=limits, now=now)
        expectation = expect(
            facts, send_at=max(delivery.send_at, now), expires_at=delivery.expires_at
        )
        if expectation.at is not None:
            # A message counts for those that go out after it.
            situation.counted.append(
                Counted(message_of(delivery), expectation.at, delivery.pk or None)
            )
        found.append((delivery, expectation, _users(facts, expectation, now)))
    return [
        Waiting(delivery, expectation, _named(users, viewer))
        for delivery, expectation, users in found
    ]


def _users(facts: Facts, expectation: Expectation, now: datetime) -> list[Counted]:
    """Return the messages that use up the first cap in the way."""
    decisions = [*expectation.waits, *([expectation.end] if expectation.end else [])]
    capped = [each for each in decisions if each.reason == Reason.FREQUENCY_CAP]
    if not capped:
        return []
    cap = _cap(facts, capped[0].detail)
    until = capped[0].until if isinstance(capped[0], Defer) else now
    return [] if cap is None else used_up_by(cap, facts.counted, before=max(until, now))


def _cap(facts: Facts, name: str) -> Cap | None:
    return next((cap for cap in facts.caps if cap.name == name), None)


def _named(counted: Iterable[Counted], viewer: Viewer) -> list[CapUse]:
    instants = {each.delivery_id: each.at for each in counted if each.delivery_id is not None}
    if not instants:
        return []
    rows = for_user(Delivery.objects.filter(pk__in=instants), viewer)
    uses = [CapUse(each, instants[each.pk]) for each in rows.select_related("step__template")]
    return sorted(uses, key=lambda use: use.at)
