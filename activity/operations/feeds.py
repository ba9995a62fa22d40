"""Count the events that arrive, and measure whether they arrive as usual."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from django.db import connection, transaction
from django.db.models import Max, Q

from activity.feeds import WEEKS, FeedJudgement, FeedStatus, HourCount, judge_feed
from activity.models import Course, Feed, FeedCursor, FeedHold, FeedHour
from activity.verbs import NOT_ACTS
from common.clock import local_date

# One statement reads so many new events. An import of millions is counted over some minutes.
MOST_COUNTED = 50_000
# Rows with lower ids may still be in transactions that are open.
SETTLED_AFTER = timedelta(minutes=1)
MEASURED_EVERY = timedelta(minutes=10)
MOST_MEASURED = 20
KEPT = timedelta(days=7 * (WEEKS + 1) + 2)
# How long "this is as it should be" of staff holds, for example over a vacation.
TRUSTED_FOR = timedelta(days=7)

# Enrollments are looked up by an array of ids: in a plain join, the planner would read all of them
# for a few events.
_COUNT = """
WITH fresh AS MATERIALIZED (
    SELECT id, enrollment_id, verb, item_id, score, occurred_at, received_at
    FROM activity_event WHERE id > %(after)s AND received_at <= %(until)s
    ORDER BY id LIMIT %(limit)s
), acts AS (
    SELECT * FROM fresh WHERE verb <> ALL(%(own)s) AND received_at > %(since)s
), added AS (
    INSERT INTO activity_feedhour AS kept (course_id, hour_at, verb, events, with_item, with_score,
        delay_seconds, last_at)
    SELECT enrollment.course_id, date_trunc('hour', acts.received_at, 'UTC'), acts.verb,
        count(*), count(acts.item_id), count(acts.score), sum(
            EXTRACT(epoch FROM LEAST(
                GREATEST(acts.received_at - acts.occurred_at, interval '0'), interval '30 days'
            ))::bigint
        ), max(acts.received_at)
    FROM acts JOIN activity_enrollment AS enrollment ON enrollment.id = acts.enrollment_id
    WHERE enrollment.id = ANY(ARRAY(SELECT enrollment_id FROM acts))
    GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
    ON CONFLICT (course_id, hour_at, verb) DO UPDATE SET events = kept.events + excluded.events,
        with_item = kept.with_item + excluded.with_item,
        with_score = kept.with_score + excluded.with_score,
        delay_seconds = kept.delay_seconds + excluded.delay_seconds,
        last_at = GREATEST(kept.last_at, excluded.last_at)
)
SELECT count(*), max(id) FROM fresh
"""


def measure_feeds(*, now: datetime) -> None:
    """Count what has arrived, and judge the feeds that were not measured for ten minutes.

    Nothing is judged before all events are counted: a course would look silent during an import
    into another one.
    """
    if _count_arrived(now) < MOST_COUNTED:
        for course in _to_measure(now):
            _measure(course, now=now)


def trust_feed(course_id: int, *, by: str, now: datetime) -> bool:
    """Release what an unusual feed holds for a week. Return False if nothing was held."""
    with transaction.atomic():
        feed = Feed.objects.select_for_update(no_key=True).filter(course=course_id).first()
        if feed is None or feed.since is None:
            return False
        feed.trusted_until, feed.trusted_by = now + TRUSTED_FOR, by
        feed.save(update_fields=["trusted_until", "trusted_by"])
        _hold(feed, now=now)
    return True


@transaction.atomic
def _count_arrived(now: datetime) -> int:
    """Count the next new events. Return their number, or the most if another worker counts."""
    cursor_row = FeedCursor.objects.select_for_update(no_key=True, skip_locked=True).first()
    if cursor_row is None:
        return MOST_COUNTED
    values: dict[str, Any] = {
        "after": cursor_row.event_id,
        "until": now - SETTLED_AFTER,
        "since": now - KEPT,
        "limit": MOST_COUNTED,
        "own": list(NOT_ACTS),
    }
    with connection.cursor() as cursor:
        cursor.execute(_COUNT, values)
        number, last = cursor.fetchone()
    if number:
        FeedCursor.objects.filter(pk=cursor_row.pk).update(event_id=last)
    return int(number)


def _to_measure(now: datetime) -> list[Course]:
    old = Q(feed__measured_at__isnull=True) | Q(feed__measured_at__lte=now - MEASURED_EVERY)
    # A day on both sides, because the local days of courses differ.
    day, one = local_date(now, "UTC"), timedelta(days=1)
    rows = Course.objects.filter(
        old, clock_stopped_at=None, starts_on__lte=day + one, ends_on__gte=day - one
    )
    return list(rows.order_by("feed__measured_at", "pk")[:MOST_MEASURED])


@transaction.atomic
def _measure(course: Course, *, now: datetime) -> None:
    Feed.objects.get_or_create(course=course, defaults={"measured_at": now})
    feed = Feed.objects.select_for_update(no_key=True).get(course=course)
    hours = _hours(course, now)
    _forget(feed, hours, now=now)
    silent_since = feed.since if feed.state == FeedStatus.SILENT else None
    found = judge_feed(hours, now=now, zone=course.time_zone, silent_since=silent_since)
    is_over = course.ends_on < local_date(now, course.time_zone)
    _keep(feed, FeedJudgement() if is_over else found, now=now)
    _hold(feed, now=now)


def _forget(feed: Feed, hours: Iterable[HourCount], *, now: datetime) -> None:
    """Delete old hours. Of a feed that stopped, the weeks before stay, to compare with."""
    last = max((hour.at for hour in hours), default=now)
    old = min(last, feed.since or now) - KEPT
    FeedHour.objects.filter(course=feed.course_id, hour_at__lt=old).delete()


def _hours(course: Course, now: datetime) -> list[HourCount]:
    rows = FeedHour.objects.filter(course=course, hour_at__lte=now).values_list(
        "hour_at", "verb", "events", "with_item", "with_score", "delay_seconds", "last_at"
    )
    return list(_as_judged(rows))


def _as_judged(
    rows: Iterable[tuple[datetime, str, int, int, int, int, datetime]],
) -> Iterable[HourCount]:
    for at, verb, events, with_item, with_score, delay, last_at in rows:
        yield HourCount(at, verb, events, with_item, with_score, timedelta(seconds=delay), last_at)


def _keep(feed: Feed, found: FeedJudgement, *, now: datetime) -> None:
    is_ok = found.status == FeedStatus.OK
    begun = found.since or (feed.since if feed.state == found.status else None) or now
    feed.state, feed.numbers = found.status.value, dict(found.numbers)
    feed.since, feed.measured_at = None if is_ok else begun, now
    # The word of staff stays for its week: a few events may end a fault that is back in an hour.
    feed.save()


def _hold(feed: Feed, *, now: datetime) -> None:
    """Write on the course whether its feed holds messages, which dispatch reads with the course.

    What held before is kept with its times. The row of the feed must be locked.
    """
    is_trusted = feed.trusted_until is not None and feed.trusted_until > now
    held_since = None if is_trusted else feed.since
    course = Course.objects.filter(pk=feed.course_id).exclude(feed_held_since=held_since)
    if course.update(feed_held_since=held_since):
        _keep_hold(feed.course_id, held_since, now=now)


def _keep_hold(course_id: int, held_since: datetime | None, *, now: datetime) -> None:
    """End the hold of the course and begin another one. Two never hold at one instant."""
    holds = FeedHold.objects.filter(course=course_id)
    last = holds.aggregate(noted=Max("noted_at"), ended=Max("ended_at"))
    # The clock of the other worker that wrote it may be ahead.
    at = max(filter(None, (now, last["noted"], last["ended"])))
    holds.filter(ended_at=None).update(ended_at=at)
    if held_since is not None:
        FeedHold.objects.create(course_id=course_id, since=held_since, noted_at=at)
