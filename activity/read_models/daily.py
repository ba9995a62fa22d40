"""DailyActivity: an enrollment's acts on each day in its course's zone. Pure."""

from activity.read_models.columns import ATTEMPT, IS_ACT, SCORED, added, latest, merge, total

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

_DAILY = f"""
SELECT
    event.enrollment_id,
    {{day}} AS day,
    max(event.occurred_at) AS last_act_at,
    max(event.occurred_at) FILTER (WHERE {ATTEMPT}) AS last_attempt_at,
    {total("true", "acts")},
    {total("event.verb = 'LOGIN'", "logins")},
    {total("event.verb IN ('VIEW_MODULE', 'VIEW_ITEM')", "views")},
    {total("event.verb = 'PLAY_VIDEO'", "plays")},
    {total("event.verb = 'DOWNLOAD_RESOURCE'", "downloads")},
    {total("event.verb = 'START_ASSIGNMENT'", "starts")},
    {total("event.verb = 'SUBMIT_ASSIGNMENT'", "submissions")},
    {total(ATTEMPT, "attempts")},
    {total(SCORED, "scored")},
    {total(f"{SCORED} AND event.passed", "passed")},
    COALESCE(sum(event.score) FILTER (WHERE {ATTEMPT}), 0) AS score_sum
FROM {{events}} AS event {{joins}}
WHERE {IS_ACT}
GROUP BY 1, 2
"""  # noqa: S608

# The few zone periods in which the events of a course occurred, found once per course. Finding them
# for each event would take a tenth of ingest's time. MATERIALIZED, because a planner without
# statistics, as after an import, would otherwise find them again for each event.
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

_MERGE_DAILY = merge(
    "activity_dailyactivity",
    DAILY_COLUMNS,
    DAILY_KEY,
    (
        latest("last_act_at"),
        latest("last_attempt_at"),
        *map(added, DAILY_COUNTERS),
        "score_sum = kept.score_sum + excluded.score_sum",
    ),
)


def daily_activity_select(events: str, *, dated: bool = False) -> str:
    """Return the SELECT of DAILY_COLUMNS over a relation with the columns of activity_event.

    The relation is a table, a CTE or a subquery in brackets. The SELECT reads its columns
    enrollment_id, verb, occurred_at, count, score and passed. `dated`: the relation also has a
    column `day`, the date in its course's zone, so that no course needs to be looked up.
    """
    if dated:
        return _DAILY.format(events=events, day="event.day", joins="")
    dated_here = _DAILY.format(events=events, day=_DAY, joins=_JOIN_PERIODS)
    return _PERIODS.format(events=events) + dated_here


def merge_daily_activity(events: str) -> str:
    """Return the statement that merges a relation of new events into DailyActivity."""
    return _MERGE_DAILY.format(select=daily_activity_select(events))
