"""The effects of transitions: exits, draws and starts, decided in memory and written at once."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import groupby
from typing import Any, cast

from activity.models import Course, Enrollment
from experiments.models import Assignment, ExperimentStatus
from experiments.operations import draw_arms
from experiments.queries import arms_now, assignments_of, running_experiments
from interventions.models import Cadence, CadenceStatus, Run, RunStatus, Trigger
from interventions.operations.runs import (
    Start,
    close_runs,
    lock_active_runs,
    mark_exited,
    new_run,
    write_exits,
)
from interventions.queries.runs import LEFT_SEGMENT, last_runs, zone_of
from segmentation.models import Transition, TransitionCause, TransitionKind

COURSE_OVER = "course_over"


def handle_transitions(
    transitions: Sequence[Transition], enrollments: Mapping[int, Enrollment], *, now: datetime
) -> list[Transition]:
    """End runs, draw arms and start runs for the transitions, in order within each enrollment.

    It needs a fixed number of queries. The Due rows of the enrollments must be locked, and their
    courses loaded. Return the handled transitions: enrollments with a run that another transaction
    has locked are skipped.
    """
    runs = _lock_runs(list(enrollments), now)
    free = [each for each in transitions if each.enrollment_id not in runs.held]
    facts = _read(free, enrollments, runs, now)
    cases = []
    of_enrollment = sorted(free, key=lambda each: (each.enrollment_id, each.pk))
    for enrollment_id, own in groupby(of_enrollment, key=lambda each: each.enrollment_id):
        case = _Case(
            enrollments[enrollment_id],
            facts,
            arms=dict(facts.arms[enrollment_id]),
            open=list(runs.of_enrollment.get(enrollment_id, [])),
        )
        for transition in own:
            case.handle(transition)
        cases.append(case)
    _write(cases, now)
    return free


class _Cadences:
    """The active cadences by trigger."""

    def __init__(self) -> None:
        self._by_trigger: dict[tuple[Any, Any], list[Cadence]] = defaultdict(list)
        active = Cadence.objects.filter(status=CadenceStatus.ACTIVE).exclude(trigger=Trigger.MANUAL)
        for cadence in active.order_by("priority", "pk").prefetch_related("steps"):
            self._by_trigger[cadence.trigger, cadence.segment_id].append(cadence)

    def started_by(self, transition: Transition) -> list[Cadence]:
        """Return the cadences that this transition starts."""
        # The kinds of transitions and the triggers have the same names.
        return self._by_trigger.get((transition.kind, transition.segment_id), [])


@dataclass(frozen=True)
class _Facts:
    """The facts of a batch of enrollments before any of their transitions is handled."""

    now: datetime
    cadences: _Cadences
    # By enrollment and cadence.
    last: Mapping[tuple[int, int], Run]
    # Earlier assignments, by enrollment and then by arm.
    arms: Mapping[int, Mapping[int, Assignment]]
    # The arm of each assignment that holds now: after the end, or in another section, it may not be
    # the drawn one. None: no more messages of the experiment.
    holding: Mapping[int, int | None]
    # The draws on entering a segment, by segment and enrollment.
    draws: Mapping[tuple[int, int], list[Assignment]]


@dataclass
class _Case:
    """The handling of one enrollment's transitions. It writes nothing."""

    enrollment: Enrollment
    facts: _Facts
    arms: dict[int, Assignment]
    # The runs that a transition may end: the locked ones and those started since, at most one per
    # cadence. A search through all runs ever started made ten thousand transitions take 41 s.
    open: list[Run]
    exits: list[Run] = field(default_factory=list)
    started: list[Run] = field(default_factory=list)
    # The last of `started`, by cadence.
    last: dict[int, Run] = field(default_factory=dict)

    def handle(self, transition: Transition) -> None:
        """End the runs that the transition ends, then start the runs that it starts."""
        self._exit(transition)
        if not _is_live(transition, self.enrollment.course):
            return
        if transition.kind == TransitionKind.ENTER:
            drawn = self.facts.draws.get((transition.segment_id, self.enrollment.pk), [])
            self.arms |= _by_arm(drawn, self.facts.holding)
        for cadence in self.facts.cadences.started_by(transition):
            self._start(cadence, transition)

    def _exit(self, transition: Transition) -> None:
        reason = _reason_to_exit(transition)
        ending = [run for run in self.open if reason and _ends_with(run, transition)]
        for run in ending:
            mark_exited(run, reason=reason, now=self.facts.now)
            self.open.remove(run)
            if run.pk is not None:
                self.exits.append(run)

    def _start(self, cadence: Cadence, transition: Transition) -> None:
        start = self._start_of(cadence, transition)
        if start is None:
            return
        before = self.facts.last.get((self.enrollment.pk, cadence.pk))
        last = self.last.get(cadence.pk, before)
        start = replace(start, zone=zone_of(self.enrollment))
        run: Any = new_run(cadence, start, last=last, now=self.facts.now)
        if run is not None:
            # As `last_runs` would say of it.
            run.has_sent = False
            self.started.append(run)
            self.open.append(run)
            self.last[cadence.pk] = run

    def _start_of(self, cadence: Cadence, transition: Transition) -> Start | None:
        """Return the start of the enrollment: without arm, as treated or as ghost, or None."""
        enrollment_id = self.enrollment.pk
        if cadence.arm_id is None:
            return Start(enrollment_id, transition.pk)
        treated = self.arms.get(cadence.arm_id)
        if treated is not None:
            return Start(enrollment_id, transition.pk, _counted(treated, cadence.arm_id))
        control = None if cadence.ghost_for_id is None else self.arms.get(cadence.ghost_for_id)
        if control is None:
            return None
        return Start(enrollment_id, transition.pk, control.pk, ghost=True)


def _counted(assignment: Assignment, arm_id: int) -> int | None:
    """Return the assignment for which the run counts, or None.

    After the end, a control may get the winner. Its messages are then no part of the experiment.
    """
    is_over = assignment.experiment.status != ExperimentStatus.RUNNING
    return None if is_over and assignment.arm_id != arm_id else assignment.pk


def _is_live(transition: Transition, course: Course) -> bool:
    # Transitions from before the course went live start nothing.
    return (
        transition.starts
        and course.clock_stopped_at is None
        and course.live_since is not None
        and course.live_since <= transition.occurred_at
    )


def _reason_to_exit(transition: Transition) -> str:
    if transition.cause == TransitionCause.COURSE_OVER:
        return COURSE_OVER
    return LEFT_SEGMENT if transition.kind == TransitionKind.LEAVE else ""


def _ends_with(run: Run, transition: Transition) -> bool:
    cadence = run.cadence
    if transition.cause == TransitionCause.COURSE_OVER:
        # As for a learner who is in no segment: what staff started may be about the time after it.
        return cadence.trigger != Trigger.MANUAL
    # A run that waits for the end of a pause ends when the learner leaves the segment.
    ends = cadence.exit_on_leave or run.waits_until is not None
    return ends and cadence.trigger == Trigger.ENTER and cadence.segment_id == transition.segment_id


@dataclass(frozen=True)
class _Runs:
    """The active runs of a batch's enrollments, locked."""

    of_enrollment: Mapping[int, list[Run]]
    # The enrollments with a run that another transaction has locked.
    held: Collection[int]


def _lock_runs(enrollment_ids: Collection[int], now: datetime) -> _Runs:
    """Lock the enrollments' active runs without waiting, and close those that are done.

    Waiting for one run would also block the ingest for all enrollments of the batch.
    """
    # All in one statement, in order, and before the first draw or outcome, because experiments come
    # last in the lock order.
    locked = lock_active_runs(enrollment_ids, skip_locked=True)
    active = Run.objects.filter(enrollment__in=enrollment_ids, status=RunStatus.ACTIVE)
    others = active.exclude(pk__in=[run.pk for run in locked])
    held = set(others.values_list("enrollment_id", flat=True))
    # A run whose last message has just gone out is finished. It is not exited, and it must not
    # block the next run.
    closed = close_runs(now=now, enrollment_ids=set(enrollment_ids) - held)
    by_enrollment: dict[int, list[Run]] = defaultdict(list)
    for run in locked:
        if run.pk not in closed:
            by_enrollment[run.enrollment_id].append(run)
    return _Runs(by_enrollment, held)


def _read(
    transitions: Sequence[Transition],
    enrollments: Mapping[int, Enrollment],
    runs: _Runs,
    now: datetime,
) -> _Facts:
    live = [each for each in transitions if _is_live(each, enrollments[each.enrollment_id].course)]
    starting = {each.enrollment_id for each in live}
    arms: dict[int, dict[int, Assignment]] = defaultdict(dict)
    earlier = assignments_of(starting)
    draws = _draw([each for each in live if each.kind == TransitionKind.ENTER], now)
    drawn = [assignment for found in draws.values() for assignment in found]
    holding = arms_now([*earlier, *drawn])
    for assignment in earlier:
        arms[assignment.enrollment_id] |= _by_arm([assignment], holding)
    # Read after the draws: then a cadence without arm that is active now cannot coexist with an
    # experiment that was running at the draws.
    cadences = _Cadences()
    triggered = {cadence.pk for each in live for cadence in cadences.started_by(each)}
    # A run in both is the same object, so that later starts see that it has ended.
    held = {run.pk: run for found in runs.of_enrollment.values() for run in found}
    last = last_runs(starting, triggered) if triggered else {}
    return _Facts(
        now=now,
        cadences=cadences,
        last={key: _locked(run, held) for key, run in last.items()},
        arms=arms,
        holding=holding,
        draws=draws,
    )


def _locked(run: Run, held: Mapping[int, Run]) -> Run:
    """Return the locked object of the run, if it is locked, with what `last_runs` knows of it."""
    found: Any = held.get(run.pk, run)
    found.has_sent = run.has_sent  # type: ignore[attr-defined]
    return cast(Run, found)


def _by_arm(
    assignments: Sequence[Assignment], holding: Mapping[int, int | None]
) -> dict[int, Assignment]:
    """Return the assignments by the arm that holds now, without those that have none."""
    found = {holding[each.pk]: each for each in assignments}
    return {arm_id: each for arm_id, each in found.items() if arm_id is not None}


def _draw(
    entries: Sequence[Transition], now: datetime
) -> Mapping[tuple[int, int], list[Assignment]]:
    """Draw all enrollments that enter a segment with a running experiment."""
    draws: dict[tuple[int, int], list[Assignment]] = defaultdict(list)
    by_segment = running_experiments({each.segment_id for each in entries})
    # Each experiment draws once for all its segments: its strata are locked in one order.
    for experiment_id in sorted({each.pk for found in by_segment.values() for each in found}):
        entering = {
            (each.segment_id, each.enrollment_id)
            for each in entries
            if any(found.pk == experiment_id for found in by_segment.get(each.segment_id, ()))
        }
        drawn = draw_arms(experiment_id, {each for _, each in entering}, now=now)
        for segment_id, enrollment_id in entering:
            if enrollment_id in drawn:
                draws[segment_id, enrollment_id].append(drawn[enrollment_id])
    return draws


def _write(cases: Sequence[_Case], now: datetime) -> None:
    write_exits([run for case in cases for run in case.exits], now=now)
    Run.objects.bulk_create([run for case in cases for run in case.started])
