"""Holdouts: learners who get no messages, so that the whole programme can be measured. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from experiments.randomize.hash import BUCKETS, bucket_of


@dataclass(frozen=True)
class Holdout:
    """A share of the learners of a course, or of all courses if it is None, for a time."""

    name: str
    share: float
    seed: str
    starts_at: datetime
    ends_at: datetime | None = None
    course_id: int | None = None


def holdout_of(
    learner_id: int, course_id: int, holdouts: Iterable[Holdout], *, now: datetime
) -> Holdout | None:
    """Return the holdout to which the learner belongs in this course at the instant, or None."""
    for each in holdouts:
        if _holds(each, course_id, now) and is_held_out(learner_id, each):
            return each
    return None


def is_held_out(learner_id: int, holdout: Holdout) -> bool:
    """Return whether the seed draws the learner. Nothing but seed, share and id decides it."""
    return bucket_of(str(learner_id), seed=holdout.seed) < buckets_of(holdout.share)


def buckets_of(share: float) -> int:
    """Return how many of the 10,000 buckets the share takes."""
    return round(share * BUCKETS)


def _holds(holdout: Holdout, course_id: int, now: datetime) -> bool:
    begun = holdout.starts_at <= now
    return begun and holdout.course_id in (None, course_id) and not _is_over(holdout, now)


def _is_over(holdout: Holdout, now: datetime) -> bool:
    return holdout.ends_at is not None and holdout.ends_at <= now
