"""The runs whose learner has reached the goal since their message was planned."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime, timedelta

from interventions.models import Cadence, Delivery, Run, RunStatus
from segmentation.queries import match_rule
from segmentation.rules import parse

# The reason with which the run of a learner at the goal ends.
GOAL = "goal"

# Plan has just asked about a message that is younger, so most messages cost no more queries.
ASKED_JUST_NOW = timedelta(seconds=30)


def runs_at_goal(waiting: Iterable[Delivery], *, now: datetime) -> set[int]:
    """Return the ids of the active runs of these messages whose goal rule is true now.

    The runs and their cadences must be loaded. Messages that were planned just now are not asked
    about. Two queries per cadence with a goal, and up to three for each course.
    """
    asked: dict[Cadence, list[Run]] = defaultdict(list)
    for delivery in waiting:
        run = delivery.run
        is_asked = run.status == RunStatus.ACTIVE and run.cadence.goal_rule is not None
        if is_asked and now - delivery.planned_at > ASKED_JUST_NOW:
            asked[run.cadence].append(run)
    return {pk for cadence, runs in asked.items() for pk in _at_goal(cadence, runs, now)}


def _at_goal(cadence: Cadence, runs: Iterable[Run], now: datetime) -> Iterable[int]:
    by_enrollment = {run.enrollment_id: run.pk for run in runs}
    reached = match_rule(parse(cadence.goal_rule), enrollment_ids=list(by_enrollment), as_of=now)
    return [by_enrollment[enrollment_id] for enrollment_id in reached]
