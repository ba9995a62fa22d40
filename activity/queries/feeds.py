"""Whether the events of courses arrive as usual, as the last measurement found."""

from dataclasses import dataclass
from datetime import datetime

from django.db.models import Q, QuerySet

from activity.feeds import feed_sentence
from activity.models import Course, Feed, FeedHold


@dataclass(frozen=True, slots=True)
class FeedHealth:
    """Whether a course's events arrive as usual, and if not, since when and what is unusual."""

    status: str = "ok"
    since: datetime | None = None
    sentence: str = ""


def feed_health(course: Course, *, now: datetime) -> FeedHealth:
    """Return whether the course's events arrive as usual. One query if they do not, else none.

    A fault that staff have accepted counts as usual.
    """
    held_since = course.feed_held_since
    if held_since is None or held_since > now:
        return FeedHealth()
    feed = Feed.objects.filter(course=course).first()
    if feed is None or feed.since is None:
        return FeedHealth()
    return FeedHealth(feed.state, feed.since, feed_sentence(feed.state, feed.numbers))


def holds_at(at: datetime) -> QuerySet[FeedHold]:
    """Return what held at the instant, at most one row per course, as it was known then."""
    open_then = Q(ended_at=None) | Q(ended_at__gt=at)
    return FeedHold.objects.filter(open_then, noted_at__lte=at)


def number_held(*, now: datetime) -> int:
    """Return the number of courses whose messages wait for events. One query."""
    return Course.objects.filter(feed_held_since__lte=now, clock_stopped_at=None).count()
