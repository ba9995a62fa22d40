"""The messages that would go out in the coming days, as the policy that sends them decides now."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db.models import Count, F, Func, IntegerField, Q, QuerySet, Window

from activity.access import Viewer, for_user
from activity.models import Course, Enrollment, Learner
from common.addresses import comparable
from common.clock import END_OF_INSTANTS, local_midnight
from interventions.models import (
    Cadence,
    Category,
    Delivery,
    DeliveryState,
    Run,
    RunStatus,
    Step,
    Trigger,
)
from interventions.policy.decision import Defer, Reason
from interventions.policy.durations import later
from interventions.policy.expectation import Candidate, Expectation, expect_in_turn
from interventions.queries.expected_messages import candidate_of
from interventions.queries.facts import facts_of
from interventions.queries.limits import Limits, read_limits
from interventions.queries.runs import delivery_of, zone_of
from interventions.queries.situations import read_situations, with_sharing

# The learners that are looked at. More would take longer than a page may.
MOST_LEARNERS = 2_000
# The waiting messages and the runs of all of them that are looked at.
MOST_ROWS = 20_000
# It would wait past its last instant.
EXPIRES = "too_old"


@dataclass(frozen=True)
class Send:
    """A message that is expected to go out, and when."""

    at: datetime
    course_id: int
    channel: str


@dataclass(frozen=True)
class SendsToCome:
    """What is expected until an instant, from those of the learners that were looked at.

    `learners` have a message that waits or a step to come. `unsent` are the numbers of messages
    that are not expected to go out, by reason, and `held` those that wait for a person.
    """

    learners: int
    looked_at: int
    sends: list[Send] = field(default_factory=list)
    # Messages of control learners that would go out. They are never sent, but caps count them.
    ghosts: list[Send] = field(default_factory=list)
    held: Counter[str] = field(default_factory=Counter)
    unsent: Counter[str] = field(default_factory=Counter)

    @property
    def factor(self) -> float:
        """Return by how much the numbers must be multiplied to stand for all learners."""
        return self.learners / self.looked_at if self.looked_at else 1.0


def sends_to_come(
    course: Course | None, *, until: datetime, now: datetime, viewer: Viewer
) -> SendsToCome:
    """Return what is expected to go out in the course, or in all courses, before the instant.

    It takes the learners as they are now: nobody enters or leaves a segment, reaches a goal or
    unsubscribes, and each condition of a step is met. Of more than MOST_LEARNERS learners it looks
    at some by a fixed chance. About 13 queries, however many learners and courses there are.
    """
    learners = list(_learners(course, until, viewer)[:MOST_LEARNERS])
    total = learners[0].number if learners else 0  # type: ignore[attr-defined]
    asked = {each.pk for each in learners}
    sharing = with_sharing(learners, most=MOST_ROWS)
    limits = read_limits()
    by_mailbox = _by_mailbox(_messages(sharing, until, now), sharing)
    found = SendsToCome(total, len(asked))
    for delivery, expected in _expected(by_mailbox, sharing, limits, now):
        is_here = course is None or delivery.enrollment.course_id == course.pk
        if is_here and delivery.learner_id in asked:
            _note(found, delivery, expected, until)
    return found


def _learners(course: Course | None, until: datetime, viewer: Viewer) -> QuerySet[Learner]:
    """Return the learners with something to come in a fixed order by chance, with their number."""
    planned = Delivery.objects.filter(state=DeliveryState.PLANNED)
    runs = Run.objects.filter(status=RunStatus.ACTIVE, next_at__lt=until)
    # The clock of a simulated course stands still.
    going = Q(enrollment__course=course) if course else Q(enrollment__course__clock_stopped_at=None)
    waiting = for_user(planned.filter(going), viewer).order_by().values("learner")
    stepping = for_user(runs.filter(going), viewer).order_by().values("enrollment__learner")
    by_chance = Func(F("pk"), function="hashint8", output_field=IntegerField())
    # One list, because PostgreSQL would look up each learner in two lists one by one.
    return (
        for_user(Learner.objects.filter(pk__in=waiting.union(stepping)), viewer)
        .annotate(number=Window(Count("pk")))
        .order_by(by_chance, "pk")
    )


def _messages(
    learners: Mapping[int, Learner], until: datetime, now: datetime
) -> Iterator[Delivery]:
    """Yield the messages that wait, and those of the steps to come. Six queries."""
    waiting = list(
        Delivery.objects.filter(learner__in=learners, state=DeliveryState.PLANNED)
        .defer("trace")
        .select_related("run", "enrollment")
        .order_by("send_at", "pk")[:MOST_ROWS]
    )
    for delivery in waiting:
        # Otherwise it would be read again for each message.
        delivery.run.enrollment = delivery.enrollment
    runs = list(
        Run.objects.filter(
            enrollment__learner__in=learners, status=RunStatus.ACTIVE, next_at__lt=until
        )
        .select_related("enrollment")
        .order_by("next_at", "pk")[:MOST_ROWS]
    )
    known = _Known.of([*(each.run for each in waiting), *runs], learners)
    for delivery in waiting:
        yield known.attach(delivery)
    for run in runs:
        yield from known.steps_to_come(run, until=until)


@dataclass(frozen=True)
class _Known:
    """The few rows that many messages share, each loaded once. Joined, each message loads them."""

    learners: Mapping[int, Learner]
    cadences: Mapping[int, Cadence]
    courses: Mapping[int, Course]
    categories: Mapping[int, Category]

    @classmethod
    def of(cls, runs: Sequence[Run], learners: Mapping[int, Learner]) -> "_Known":
        ids = {run.cadence_id for run in runs}
        rows = Cadence.objects.filter(pk__in=ids).select_related("segment", "category")
        return cls(
            learners,
            rows.prefetch_related("steps").in_bulk(),
            Course.objects.in_bulk({run.enrollment.course_id for run in runs}),
            Category.objects.in_bulk(),
        )

    def attach(self, delivery: Delivery) -> Delivery:
        run = self._run(delivery.run, delivery.enrollment)
        delivery.run, delivery.enrollment = run, run.enrollment
        delivery.learner = run.enrollment.learner
        delivery.category = self.categories[delivery.category_id]
        delivery.step = self._step(run, delivery.step_id)
        delivery.expires_at = min(delivery.expires_at, _last_instant(run))
        return delivery

    def steps_to_come(self, run: Run, *, until: datetime) -> Iterator[Delivery]:
        """Yield the messages of the run's next steps, as plan would write them."""
        run = self._run(run, run.enrollment)
        planned_at, position = run.next_at, run.next_position
        if planned_at is None or position is None:
            return
        for number, step in enumerate(_way(run.cadence, position)):
            if number:
                planned_at = later(planned_at, step.delay, zone=zone_of(run.enrollment))
            if planned_at >= until:
                return
            yield _unsaved(run, step, planned_at)

    def _run(self, run: Run, enrollment: Enrollment) -> Run:
        run.cadence, run.enrollment = self.cadences[run.cadence_id], enrollment
        enrollment.course = self.courses[enrollment.course_id]
        enrollment.learner = self.learners[enrollment.learner_id]
        return run

    def _step(self, run: Run, step_id: int) -> Step:
        step = next(each for each in run.cadence.steps.all() if each.pk == step_id)
        step.cadence = run.cadence
        return step


def _way(cadence: Cadence, position: int) -> Iterator[Step]:
    """Yield the steps from the position on, as if each condition were met."""
    for step in sorted(cadence.steps.all(), key=lambda each: each.position):
        if step.position >= position:
            yield step
            position = step.following(met=True)


def _unsaved(run: Run, step: Step, planned_at: datetime) -> Delivery:
    step.cadence = run.cadence
    found = delivery_of(run, step, planned_at=planned_at)
    found.category = run.cadence.category
    found.expires_at = min(found.expires_at, _last_instant(run))
    return found


def _last_instant(run: Run) -> datetime:
    """Return the end of the course if the run ends with it, as all do but those of staff."""
    course = run.enrollment.course
    if run.cadence.trigger == Trigger.MANUAL:
        return END_OF_INSTANTS
    return local_midnight(course.ends_on + timedelta(days=1), course.time_zone)


def _by_mailbox(
    messages: Iterable[Delivery], learners: Mapping[int, Learner]
) -> Iterable[list[Delivery]]:
    """Return the messages by mailbox, which uses up caps. Without address each learner has one."""
    found: dict[str | int, list[Delivery]] = {}
    for each in messages:
        mailbox = comparable(learners[each.learner_id].email or "") or each.learner_id
        found.setdefault(mailbox, []).append(each)
    return found.values()


def _expected(
    groups: Iterable[list[Delivery]], learners: Mapping[int, Learner], limits: Limits, now: datetime
) -> Iterator[tuple[Delivery, Expectation]]:
    groups = list(groups)
    concerned = {each.learner_id for group in groups for each in group}
    situations = read_situations([learners[pk] for pk in concerned], limits=limits, now=now)
    for group in groups:
        candidates: list[Candidate] = []
        for one in group:
            situation = situations[one.learner_id]
            facts = facts_of(one, one.learner, situation, limits=limits, now=now)
            candidates.append(candidate_of(one, facts, now))
        yield from zip(group, expect_in_turn(candidates), strict=True)


def _note(found: SendsToCome, one: Delivery, expected: Expectation, until: datetime) -> None:
    """Note what is expected of the message, unless that is after the instant."""
    if expected.at is not None:
        if expected.at < until:
            those = found.ghosts if one.ghost else found.sends
            those.append(Send(expected.at, one.enrollment.course_id, one.channel))
    elif one.ghost:
        return
    elif isinstance(expected.end, Defer):
        found.held[expected.end.reason] += 1
    elif expected.end is not None:
        found.unsent[expected.end.reason] += 1
    elif one.expires_at < until:
        with_course = one.expires_at == _last_instant(one.run)
        found.unsent[Reason.COURSE_OVER if with_course else EXPIRES] += 1
