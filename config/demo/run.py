"""The whole demo: simulate, configure, play, stop the clock and summarize."""

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
# The configuration is finished before the course begins.
PREPARATION = timedelta(hours=12)


@dataclass(frozen=True)
class DemoOptions:
    """The options of a demo. `probability` is the chance that a message leads to a quiz attempt."""

    learners: int = 2000
    weeks: int = 8
    seed: int = DEFAULT_SEED
    probability: float = DEFAULT_PROBABILITY


def draw_world(options: DemoOptions) -> World:
    """Return the course and everything that its learners do without messages."""
    course = SimulatedCourse(
        scenario.COURSE_KEY, scenario.COURSE_TITLE, options.weeks * DAYS_A_WEEK
    )
    return simulate(course, options.learners, seed=options.seed, probability=options.probability)


def run_demo(
    options: DemoOptions, *, on_stop: Callable[[datetime], None] = lambda instant: None
) -> dict[str, Any]:
    """Replace an earlier demo, play it and return its results.

    `on_stop` is called with the instant of each stop of the simulated clock.
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
    """Save the course, live from its first minute, with everything that the stages need."""
    begins_at = local_midnight(world.course.starts_on, TIME_ZONE)
    now = begins_at - PREPARATION
    course = save_roster(world, now=now, live_since=begins_at)
    experiment = configure(course, seed=seed, now=now)
    opt_out(world, course, now=now)
    return course, experiment


def _commit_lightly() -> None:
    """Turn off waiting for the disk in this connection's commits."""
    # Tens of thousands of commits would wait for minutes on a slow disk. A crash loses only the
    # last moments of the demo, which must be played again anyway.
    with connection.cursor() as cursor:
        cursor.execute("SET synchronous_commit = off")


def _stop_clock(course: Course, as_of: datetime) -> None:
    """Stop the course's clock, so that every page shows the course at this instant."""
    save_course({"key": course.key, "clock_stopped_at": as_of}, now=as_of)
    # The change has made all enrollments due. Evaluating them here leaves no work for a worker.
    evaluate_due(now=as_of, course_id=course.pk)
