"""The read models' one definition as SQL, and what other apps may ask. Writes nothing."""

from dataclasses import dataclass
from datetime import date, datetime

from django.db import connection
from django.db.models import Min

from activity.models import Course, DailyActivity, Due
from activity.verbs import NOT_ACTS
from common.clock import local_date

# Counters stop here instead of overflowing: one absurd total must not make a whole batch fail.
# A sum that stops at a limit is the same in any order, so merging stays exact.
COUNTER_LIMIT = 2_147_483_647

DAILY_KEY = ("enrollment_id", "day")
DAILY_COUNTERS = (
    "acts",
    "logins",
    "views",
    "plays",
    "downloads",
    "starts",
    "submissions",
    "attempts",
    "scored",
    "passed",
)
DAILY_COLUMNS = (*DAILY_KEY, "last_act_at", "last_attempt_at", *DAILY_COUNTERS, "score_sum")

PROGRESS_KEY = ("enrollment_id", "item_id")
PROGRESS_COLUMNS = (
    *PROGRESS_KEY,
    "first_touched_at",
    "last_touched_at",
    "attempts",
    "last_attempt_at",
    "best_score",
    "last_score",
    "last_scored_at",
    "first_passed_at",
    "first_completed_at",
)


def _total(condition: str, name: str) -> str:
    return (
        f"LEAST(COALESCE(sum(event.count) FILTER (WHERE {condition}), 0), {COUNTER_LIMIT})::int"
        f" AS {name}"
    )


# A verb registered as no act is asked for by name: the registry is small, and rebuild, ingest and
# past instants then agree on what an act is without a column in the log.
_IS_ACT = f"""event.verb NOT IN ({", ".join(f"'{verb}'" for verb in NOT_ACTS)})
    AND event.verb NOT IN (SELECT name FROM activity_verb WHERE NOT is_act)"""  # noqa: S608

# Their ids take 40 megabytes; who waits longer than that comes with the next beat.
MOST_DUE = 1_000_000

_ATTEMPT = "event.verb = 'ATTEMPT_QUIZ'"
_SCORED = f"{_ATTEMPT} AND event.score IS NOT NULL"

_DAILY = f"""
SELECT
    event.enrollment_id,
    {{day}} AS day,
    max(event.occurred_at) AS last_act_at,
    max(event.occurred_at) FILTER (WHERE {_ATTEMPT}) AS last_attempt_at,
    {_total("true", "acts")},
    {_total("event.verb = 'LOGIN'", "logins")},
    {_total("event.verb IN ('VIEW_MODULE', 'VIEW_ITEM')", "views")},
    {_total("event.verb = 'PLAY_VIDEO'", "plays")},
    {_total("event.verb = 'DOWNLOAD_RESOURCE'", "downloads")},
    {_total("event.verb = 'START_ASSIGNMENT'", "starts")},
    {_total("event.verb = 'SUBMIT_ASSIGNMENT'", "submissions")},
    {_total(_ATTEMPT, "attempts")},
    {_total(_SCORED, "scored")},
    {_total(f"{_SCORED} AND event.passed", "passed")},
    COALESCE(sum(event.score) FILTER (WHERE {_ATTEMPT}), 0) AS score_sum
FROM {{events}} AS event {{joins}}
WHERE {_IS_ACT}
GROUP BY 1, 2
"""  # noqa: S608

# An act counts twice here: with its item in full, and with the item's module as a touch alone.
# The pair (instant, score) is compared as one array, so that of two scores at the same instant
# the higher is the last, whichever came first.
_PROGRESS = f"""
SELECT
    event.enrollment_id,
    target.item_id,
    min(event.occurred_at) AS first_touched_at,
    max(event.occurred_at) AS last_touched_at,
    {_total(f"target.own AND {_ATTEMPT}", "attempts")},
    max(event.occurred_at) FILTER (WHERE target.own AND {_ATTEMPT}) AS last_attempt_at,
    max(event.score) FILTER (WHERE target.own) AS best_score,
    (max(ARRAY[extract(epoch FROM event.occurred_at), event.score])
        FILTER (WHERE target.own AND event.score IS NOT NULL))[2]::numeric(7, 6) AS last_score,
    max(event.occurred_at) FILTER (WHERE target.own AND event.score IS NOT NULL) AS last_scored_at,
    min(event.occurred_at) FILTER (WHERE target.own AND event.passed) AS first_passed_at,
    min(event.occurred_at) FILTER (WHERE target.own AND event.verb = CASE item.kind
        WHEN 'quiz' THEN 'ATTEMPT_QUIZ'
        WHEN 'assignment' THEN 'SUBMIT_ASSIGNMENT'
        WHEN 'module' THEN 'COMPLETE_MODULE'
        ELSE 'COMPLETE_ITEM' END) AS first_completed_at
FROM {{events}} AS event
JOIN activity_item AS item ON item.id = event.item_id
CROSS JOIN LATERAL (VALUES (item.id, true), (item.parent_id, false)) AS target (item_id, own)
WHERE {_IS_ACT} AND target.item_id IS NOT NULL
GROUP BY 1, 2
"""  # noqa: S608


# The few zone periods that the events of a course lie in, found once a course: found for each
# event, they would take a tenth of ingest's time. Materialized: a planner without statistics, as
# after an import, would else find them again for each event.
_PERIODS = """WITH period AS MATERIALIZED (
    SELECT span.course_id, period.from_at, period.to_at, period.utc_offset
    FROM (
        SELECT enrollment.course_id, min(occurred_at) AS first_at, max(occurred_at) AS last_at
        FROM {events} AS event
        JOIN activity_enrollment AS enrollment ON enrollment.id = event.enrollment_id
        GROUP BY enrollment.course_id
    ) AS span
    JOIN activity_course AS course ON course.id = span.course_id
    JOIN activity_zoneperiod AS period ON period.zone = course.time_zone
        AND period.to_at > span.first_at AND period.from_at <= span.last_at
)
"""
_JOIN_PERIODS = """
JOIN activity_enrollment AS enrollment ON enrollment.id = event.enrollment_id
JOIN period ON period.course_id = enrollment.course_id
    AND event.occurred_at >= period.from_at AND event.occurred_at < period.to_at
"""
_DAY = "(event.occurred_at AT TIME ZONE 'UTC' + period.utc_offset)::date"


def daily_activity_select(events: str, *, dated: bool = False) -> str:
    """Return the SELECT of DAILY_COLUMNS over a relation with the columns of activity_event.

    The relation is a table, a CTE or a subquery in brackets. Its columns enrollment_id, verb,
    occurred_at, count, score and passed are read. `dated`: it has a column `day` too, the date in
    its course's zone, and no course is looked up for each event.
    """
    if dated:
        return _DAILY.format(events=events, day="event.day", joins="")
    dated_here = _DAILY.format(events=events, day=_DAY, joins=_JOIN_PERIODS)
    return _PERIODS.format(events=events) + dated_here


def progress_select(events: str) -> str:
    """Return the SELECT of PROGRESS_COLUMNS over a relation with the columns of activity_event."""
    return _PROGRESS.format(events=events)


@dataclass(frozen=True, slots=True)
class FeedHealth:
    """Whether a course's events come as usual, and since when they do not."""

    status: str = "ok"
    since: datetime | None = None


def feed_health(course: Course, *, now: datetime) -> FeedHealth:
    """Return whether the course's events come as usual. Until a norm is kept, always ok."""
    del course, now
    return FeedHealth()


# From the due rows, each to its course: what it takes grows with what is due, and that is evaluated
# next. Asked course by course, the planner walks through all courses in which nobody is due, or
# through all that is due once for each course. OFFSET 0 keeps it from choosing.
_DUE = """
SELECT found.course_id, array_agg(due.enrollment_id ORDER BY due.due_at, due.enrollment_id)
FROM (
    SELECT enrollment_id, due_at FROM activity_due WHERE due_at <= %(now)s
    ORDER BY due_at LIMIT %(limit)s
) AS due
CROSS JOIN LATERAL (
    SELECT course_id FROM activity_enrollment WHERE id = due.enrollment_id OFFSET 0
) AS found
WHERE %(course)s::bigint IS NULL OR found.course_id = %(course)s
GROUP BY found.course_id
ORDER BY found.course_id
"""


def due_enrollments(
    *, now: datetime, course_id: int | None = None, limit: int = MOST_DUE
) -> dict[int, list[int]]:
    """Return the enrollments that are due by course id, the longest waiting first. One query.

    Of one course or of all; the `limit` longest waiting of all courses together.
    """
    values = {"now": now, "course": course_id, "limit": limit if course_id is None else None}
    with connection.cursor() as cursor:
        cursor.execute(_DUE, values)
        return dict(cursor.fetchall())


def oldest_due(*, now: datetime) -> datetime | None:
    """Return since when the longest waiting enrollment is due. One query."""
    waiting = Due.objects.filter(due_at__lte=now)
    oldest: datetime | None = waiting.aggregate(oldest=Min("due_at"))["oldest"]
    return oldest


@dataclass(frozen=True, slots=True)
class WrongDay:
    """An enrollment's day of activity whose last act lies on another day by zoneinfo."""

    enrollment_id: int
    at: datetime
    day: date
    expected: date


def wrong_day(course: Course) -> WrongDay | None:
    """Return a row of DailyActivity that zoneinfo would date otherwise, None if there is none.

    Reads every row of the course: for proofs, not for pages.
    """
    rows = DailyActivity.objects.filter(enrollment__course=course)
    for enrollment_id, at, day in (
        rows.order_by("pk").values_list("enrollment_id", "last_act_at", "day").iterator()
    ):
        expected = day if at is None else local_date(at, course.time_zone)
        if at is not None and day != expected:
            return WrongDay(enrollment_id, at, day, expected)
    return None


def zones_unknown() -> list[tuple[str, str]]:
    """Return key and zone of the courses whose zone is not kept: a newer tzdata may drop a name."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT key, time_zone FROM activity_course AS course
            WHERE NOT EXISTS (SELECT FROM activity_zoneperiod WHERE zone = course.time_zone)
            ORDER BY key
            """
        )
        return list(cursor.fetchall())


def course_id_of(key: str) -> int | None:
    """Return the id of the course with this key, None if there is none."""
    return Course.objects.filter(key=key).values_list("pk", flat=True).first()
