"""The whole demo: simulate, configure, play, stop the clock, sum up."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import connection

from activity.models import Course
from activity.operations import save_course
from activity.simulation.course import DAYS_A_WEEK, TIME_ZONE, SimulatedCourse
from activity.simulation.world import DEFAULT_PROBABILITY, World, simulate
from common.clock import local_midnight
from config.demo import scenario
from config.demo.build import configure, opt_out
from config.demo.drive import Drive
from config.demo.removal import remove_demo
from config.demo.roster import save_roster
from config.demo.summary import summarize
from experiments.models import Experiment
from segmentation.stages.evaluate import evaluate_due

DEFAULT_SEED = 20250901
# The admin's work is done when the course begins.
PREPARATION = timedelta(hours=12)


@dataclass(frozen=True)
class DemoOptions:
    """How large a demo, and which one. `probability`: that a message brings a learner to a quiz."""

    learners: int = 2000
    weeks: int = 8
    seed: int = DEFAULT_SEED
    probability: float = DEFAULT_PROBABILITY


def draw_world(options: DemoOptions) -> World:
    """Return the course and all that its learners do without messages."""
    course = SimulatedCourse(
        scenario.COURSE_KEY, scenario.COURSE_TITLE, options.weeks * DAYS_A_WEEK
    )
    return simulate(course, options.learners, seed=options.seed, probability=options.probability)


def run_demo(
    options: DemoOptions, *, on_stop: Callable[[datetime], None] = lambda instant: None
) -> dict[str, Any]:
    """Play the demo in place of an earlier one, and return what came of it.

    `on_stop` is told every instant at which the simulated clock has stopped.
    """
    world = draw_world(options)
    _commit_lightly()
    remove_demo()
    course, experiment = prepare(world, seed=options.seed)
    as_of = Drive(world, course, experiment).run(on_stop)
    _stop_clock(course, as_of)
    experiment.refresh_from_db()
    found = summarize(world, experiment, as_of=as_of)
    return {"seed": options.seed, "weeks": options.weeks} | found


def prepare(world: World, *, seed: int) -> tuple[Course, Experiment]:
    """Save the course, live from its first minute, with all that the stages need."""
    begins_at = local_midnight(world.course.starts_on, TIME_ZONE)
    now = begins_at - PREPARATION
    course = save_roster(world, now=now, live_since=begins_at)
    experiment = configure(course, seed=seed, now=now)
    opt_out(world, course, now=now)
    return course, experiment


def _commit_lightly() -> None:
    """Let this connection's commits not wait for the disk."""
    # A crash would lose the last moments of a demo, which is then played again anyway. Tens of
    # thousands of commits that wait would take minutes on a slow disk.
    with connection.cursor() as cursor:
        cursor.execute("SET synchronous_commit = off")


def _stop_clock(course: Course, as_of: datetime) -> None:
    """Have every page show the course as it is at this instant, whatever the time is."""
    save_course({"key": course.key, "clock_stopped_at": as_of}, now=as_of)
    # The change has made everybody due: nothing moves, but nothing is left to do for a worker.
    evaluate_due(now=as_of, course_id=course.pk)
