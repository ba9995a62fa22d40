"""Move the demo's clock through its course, and run all stages at every stop."""

from collections.abc import Callable, Iterator
from datetime import datetime

from activity.models import Course
from activity.operations import ingest
from activity.simulation.course import TIME_ZONE
from activity.simulation.history import Event, course_ends_at
from activity.simulation.outcomes import Draw, added_event
from activity.simulation.world import World
from common.clock import local_midnight
from config.demo.feed import Feed
from config.demo.scenario import EXPERIMENT_STARTS_AFTER
from config.demo.timetable import stops
from experiments.models import DeliveryOutcome, DeliveryOutcomeKind, Experiment
from interventions.operations import start_experiment
from interventions.stages.dispatch import dispatch_due
from interventions.stages.plan import plan_due
from interventions.stages.react import react_due
from interventions.stages.recover import recover
from segmentation.stages.evaluate import evaluate_due

# Far more than a stop needs. A stage that never becomes idle must not hang the demo.
MAX_ROUNDS = 50
BUDGET_SECONDS = 600.0


class Drive:
    """The run of the demo's course from its first to its last minute."""

    def __init__(self, world: World, course: Course, experiment: Experiment) -> None:
        self._world = world
        self._course = course
        self._experiment = experiment
        self._feed = Feed(world)
        self._answered: set[int] = set()
        self._begins_at = local_midnight(world.course.starts_on, TIME_ZONE)
        self._now = self._begins_at

    def run(self, on_stop: Callable[[datetime], None]) -> datetime:
        """Play the whole course and return the final time of its clock.

        `on_stop` is called with the instant of each stop of the clock.
        """
        for stop in stops(self._begins_at, course_ends_at()):
            self._work(stop)
            self._start_experiment()
            on_stop(stop)
        return self._now

    def _work(self, now: datetime) -> None:
        """Ingest the events up to now, and run the stages until nothing more is due."""
        self._now = now
        ingest(self._feed.until(now), now=now)
        recover(now=now)
        self._run_until_idle()

    def _run_until_idle(self) -> None:
        for _ in range(MAX_ROUNDS):
            if not self._run_stages():
                break
        for event in self._answers():
            self._feed.add(event)

    def _run_stages(self) -> bool:
        """Run each stage once. Return whether there may be more work at this instant."""
        now = self._now
        evaluate_due(now=now, course_id=self._course.pk, budget_seconds=BUDGET_SECONDS)
        reacted = react_due(now=now, budget_seconds=BUDGET_SECONDS)
        planned = plan_due(now=now, budget_seconds=BUDGET_SECONDS)
        moves = dispatch_due(clock=lambda: now, budget_seconds=BUDGET_SECONDS)
        # The result of evaluation does not count, because react has handled it in this round.
        return bool(reacted or planned or moves.total())

    def _start_experiment(self) -> None:
        is_time = self._now >= self._begins_at + EXPERIMENT_STARTS_AFTER
        if is_time and self._experiment.started_at is None:
            self._experiment = start_experiment(self._experiment.pk, now=self._now)
            self._run_until_idle()

    def _answers(self) -> Iterator[Event]:
        """Yield the quiz attempts that are caused by the first messages of this stop."""
        handed_off = DeliveryOutcome.objects.filter(
            outcome=DeliveryOutcomeKind.HANDED_OFF,
            at=self._now,
            assignment__experiment=self._experiment,
        ).exclude(assignment__in=self._answered)
        rows = handed_off.order_by("assignment").values_list(
            "assignment", "assignment__assigned_at", "assignment__enrollment__learner__external_id"
        )
        for assignment, assigned_at, name in rows.distinct():
            self._answered.add(assignment)
            trace = self._world.by_learner[name]
            event = added_event(self._world.course, trace, Draw(assigned_at, self._now))
            if event is not None:
                yield event
