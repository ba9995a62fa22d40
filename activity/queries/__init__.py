"""Queries about learners' activity for other apps. Read only."""

from activity.queries.courses import (
    WrongDay,
    course_id_of,
    in_scope,
    wrong_day,
    zones_unknown,
)
from activity.queries.feeds import FeedHealth, feed_health, holds_at, number_held
from activity.queries.imports import RunningImport, running_imports, telling_progress
from activity.queries.learners import FoundLearners, find_learners, learner_ids
from activity.queries.queue import due_enrollments, oldest_due
from activity.queries.verbs import known_verbs

__all__ = [
    "FeedHealth",
    "FoundLearners",
    "RunningImport",
    "WrongDay",
    "course_id_of",
    "due_enrollments",
    "feed_health",
    "find_learners",
    "holds_at",
    "in_scope",
    "known_verbs",
    "learner_ids",
    "number_held",
    "oldest_due",
    "running_imports",
    "telling_progress",
    "wrong_day",
    "zones_unknown",
]
