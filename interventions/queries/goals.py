"""The runs whose learner has reached the goal since their message was planned."""

import logging
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from interventions.models import Cadence, Delivery, Run, RunStatus
from segmentation.queries import match_rule
from segmentation.rules import RuleError, parse

# The reason with which the run of a learner at the goal ends.
GOAL = "goal"

# Plan has just asked about a message that is younger, so most messages cost no more queries.
ASKED_JUST_NOW = timedelta(seconds=30)

log = logging.getLogger(__name__)


@dataclass
class Goals:
    """The runs at their goal, and the runs whose goal cannot be read, with the error."""

    reached: set[int] = field(default_factory=set)
    unreadable: dict[int, str] = field(default_factory=dict)


def goals_of(waiting: Iterable[Delivery], *, now: datetime) -> Goals:
    """Return which active runs of these messages have a goal rule that is true now.

    The runs and their cadences must be loaded. Messages that were planned just now are not asked
    about. Two queries per cadence with a goal, and up to three for each course.
    """
    asked: dict[Cadence, list[Run]] = defaultdict(list)
    for delivery in waiting:
        run = delivery.run
        is_asked = run.status == RunStatus.ACTIVE and run.cadence.goal_rule is not None
        if is_asked and now - delivery.planned_at > ASKED_JUST_NOW:
            asked[run.cadence].append(run)
    found = Goals()
    for cadence, runs in asked.items():
        try:
            found.reached.update(_at_goal(cadence, runs, now))
        except RuleError as error:
            # No reason to hold back the messages of other cadences to the same learners.
            log.exception("The goal of cadence %s cannot be read", cadence.pk)
            found.unreadable |= {run.pk: str(error) for run in runs}
    return found


def _at_goal(cadence: Cadence, runs: Iterable[Run], now: datetime) -> Iterable[int]:
    by_enrollment = {run.enrollment_id: run.pk for run in runs}
    reached = match_rule(parse(cadence.goal_rule), enrollment_ids=list(by_enrollment), as_of=now)
    return [by_enrollment[enrollment_id] for enrollment_id in reached]
