"""The members that a rule would have had on past days, read from the event log."""

from collections.abc import Iterator
from datetime import date, datetime, timedelta

from activity.models import Course
from common.clock import local_midnight
from segmentation.charts import DaySizes
from segmentation.queries.matches import matching_enrollments
from segmentation.rules import Group


def backtest(rule: Group, course: Course, *, first: date, as_of: datetime) -> Iterator[DaySizes]:
    """Yield the days from `first` on, up to that of `as_of`. Each takes one reading of the rule.

    A leave rule is not considered. Items, traits and due dates are taken as they are today.
    """
    before = matching_enrollments(rule, course, as_of=_end(first - timedelta(days=1), course))
    day = first
    while local_midnight(day, course.time_zone) <= as_of:
        now = matching_enrollments(rule, course, as_of=min(_end(day, course), as_of))
        yield DaySizes(day, len(now), len(now - before), len(before - now))
        before, day = now, day + timedelta(days=1)


def _end(day: date, course: Course) -> datetime:
    # At midnight the next day has begun, and "the last 7 days" end with it.
    return local_midnight(day + timedelta(days=1), course.time_zone) - timedelta(microseconds=1)
