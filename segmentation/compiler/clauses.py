"""The table expressions of a reading. An expression that no signal needs is left out."""

# Every value is bound; only constants of this package are put into the text.
# ruff: noqa: S608

import re
from collections.abc import Callable
from dataclasses import dataclass

from activity.local_time import day_in_arrays, local_day, zone_arrays
from activity.local_time import local_midnight_of as midnight
from activity.read_models import daily_activity_select, progress_select
from segmentation.signals.needs import Need
from segmentation.signals.sources import (
    IS_ASSIGNED,
    IS_OPEN,
    IS_QUIZ_ASKED,
    LeftOut,
    Sources,
)
from segmentation.sql import indent, median_of, module_seconds, rounded_pace


@dataclass(frozen=True)
class _Part:
    """One table expression: its name, the function that writes it, and the needs that it serves."""

    name: str
    write: Callable[[Sources], str]
    needs: frozenset[Need] | None = None


def with_clause(sources: Sources) -> str:
    """Return the WITH clause with all tables that the signals need."""
    wanted = [part for part in _PARTS if part.needs is None or part.needs & sources.needs]
    # Written from last to first, because each part may add facts of the course, which come earlier.
    texts = [f"{part.name} ({part.write(sources)})" for part in reversed(wanted)]
    return "WITH " + ",\n".join(reversed(texts))


def from_clause(sources: Sources) -> str:
    """Return the FROM clause: the enrollments joined with the tables that their signals need."""
    joins = [join for need, join in _JOINS.items() if need in sources.needs]
    return "FROM " + "\n    ".join(["scope s", *joins])


def _course(sources: Sources) -> str:
    starts_at = midnight("c.starts_on", "c.time_zone")
    next_day_at = midnight("(x.day_on + 1)", "c.time_zone")
    day_on = local_day(sources.as_of, "c.time_zone")
    over_at = midnight("(c.ends_on + 1)", "c.time_zone")
    return f"""
        SELECT c.id, c.time_zone, c.starts_on, c.ends_on, c.grace_days, x.day_on,
            {starts_at} AS starts_at, {next_day_at} AS next_day_at, {over_at} AS over_at,
            z.ends, z.offsets
        FROM activity_course c
        CROSS JOIN LATERAL ({zone_arrays("c.time_zone")}) z
        CROSS JOIN LATERAL (SELECT {day_on} AS day_on) x
        WHERE c.id = k.course_id"""


def _fact(sources: Sources) -> str:
    return f"SELECT\n        {indent(sources.facts.select())}\n    FROM course c"


def _scope(sources: Sources) -> str:
    traits = ", e.traits" if Need.TRAITS in sources.needs else ""
    # If events are to be left out, the event log is used, because the read models include them.
    past = f"coalesce(e.last_event_at > {sources.as_of}, false)"
    past = past if sources.left_out is None else "true"
    return f"""
        SELECT x.*, x.began_at <= {sources.as_of} AND NOT x.over AS in_scope FROM (
            SELECT e.id AS enrollment_id, e.learner_id, e.withdrew_at, e.completed_at,
                greatest(e.enrolled_at, c.starts_at) AS began_at,
                {day_in_arrays("e.enrolled_at", "c")} AS enrolled_on,
                {past} AS is_past,
                coalesce(e.withdrew_at <= {sources.as_of}, false)
                    OR coalesce(e.completed_at <= {sources.as_of}, false)
                    OR c.day_on > c.ends_on AS over{traits}
            FROM course c JOIN {_enrollments(sources)}
        ) x"""


def _enrollments(sources: Sources) -> str:
    if sources.is_whole:
        return "activity_enrollment e ON e.course_id = c.id"
    if sources.is_single:
        return "activity_enrollment e ON e.course_id = c.id AND e.id = ANY(k.enrollment_ids)"
    # PostgreSQL expects ten elements of an array that it does not see, and would compare each
    # enrollment of a batch with each other one. Of generate_series it expects a thousand.
    return """generate_series(1, cardinality(k.enrollment_ids)) place ON true
            JOIN activity_enrollment e ON e.id = k.enrollment_ids[place]"""


def _live(_: Sources) -> str:
    return "SELECT enrollment_id, enrolled_on, is_past FROM scope WHERE in_scope"


def _cut(sources: Sources) -> str:
    """Return the event log up to as_of, for enrollments whose read models hold later events.

    It goes back only as far as it has to replace the read models. If events are to be left out, it
    covers the whole log.
    """
    left_out = sources.left_out
    which = _but_for(left_out) if left_out else f" AND v.occurred_at >= {sources.log_since()}"
    return f"""
        SELECT v.enrollment_id, v.item_id, v.verb, v.occurred_at, v.count, v.score, v.passed,
            {day_in_arrays("v.occurred_at", "c")} AS day
        FROM course c CROSS JOIN live l JOIN activity_event v ON v.enrollment_id = l.enrollment_id
        {_arrivals(sources)}
        WHERE l.is_past AND v.occurred_at <= {sources.as_of}{which}"""


def _arrivals(sources: Sources) -> str:
    if sources.left_out is None:
        return ""
    return """JOIN activity_due u ON u.enrollment_id = l.enrollment_id
        JOIN activity_course y ON y.id = k.course_id"""


def _but_for(left_out: LeftOut) -> str:
    """Return the condition that leaves out events received since the last evaluation."""
    came = "v.received_at >= least(u.evaluated_at, u.late_since)"
    late = "v.occurred_at < v.received_at - y.late_after_hours * interval '1 hour'"
    which = {LeftOut.ALL: "", LeftOut.LATE: f" AND {late}", LeftOut.FRESH: f" AND NOT {late}"}
    return f"\n            AND NOT ({came}{which[left_out]})"


def _daily(sources: Sources) -> str:
    reach = sources.reach
    recent = "true" if reach is None else f"a.day > {sources.day()} - {sources.days(reach)}"
    aggregates = indent(["a.enrollment_id", *sources.daily.select()])
    # Only the columns that the aggregates use, in the same order. PostgreSQL then passes on the
    # rows of the table without a projection step.
    columns = ", ".join(dict.fromkeys(re.findall(r"\ba\.\w+", aggregates)))
    # For a past instant, the read model is complete for earlier days. The log is needed only for
    # the day of the instant.
    whole, events = (
        f"(NOT l.is_past OR a.day < {sources.day()})",
        f"cut WHERE day = {sources.day()}",
    )
    if sources.left_out:
        whole, events = "NOT l.is_past", "cut"
    today = daily_activity_select(f"(SELECT * FROM {events})", dated=True)
    return f"""
        SELECT {aggregates}
        FROM (
            SELECT {columns} FROM live l
            JOIN activity_dailyactivity a ON a.enrollment_id = l.enrollment_id
            WHERE {whole} AND {recent}
            UNION ALL
            SELECT {columns} FROM ({today}) a WHERE {recent}
        ) a GROUP BY a.enrollment_id"""


def _log(sources: Sources) -> str:
    """Return the aggregates of single events. The log is the same for every instant."""
    reach, left_out = sources.log_reach, sources.left_out
    recent = "" if reach is None else f" AND v.occurred_at >= {sources.since(reach)}"
    items = """
        LEFT JOIN activity_item i ON i.id = v.item_id
        LEFT JOIN activity_item h ON h.id = i.parent_id AND h.kind = 'module'"""
    return f"""
        SELECT {indent(["v.enrollment_id", *sources.log.select()])}
        FROM live l JOIN activity_event v ON v.enrollment_id = l.enrollment_id
        {_arrivals(sources)}{items if sources.names_items else ""}
        WHERE v.verb IN ({", ".join(sorted(sources.verbs))})
            AND v.occurred_at <= {sources.as_of}{recent}{_but_for(left_out) if left_out else ""}
        GROUP BY v.enrollment_id"""


def _item(sources: Sources) -> str:
    """Return the items that the signals need, with the columns that the aggregates use."""
    return f"""
        SELECT i.id, i.kind = 'module' AS is_module,
            {IS_QUIZ_ASKED} AND u.id IS NOT NULL AS is_quiz,
            {IS_ASSIGNED} AS is_assigned, {IS_OPEN} AS is_open,
            CASE WHEN i.kind <> 'module' AND i.id = ANY(k.completed_items)
                THEN coalesce(i.due_on, i.assigned_on) END AS owed_on,
            coalesce(q.quizzes, 0) AS quizzes, m.median
        FROM activity_item i JOIN course c ON c.id = i.course_id
        LEFT JOIN activity_item u ON u.id = i.parent_id AND u.kind = 'module'
        LEFT JOIN (
            SELECT i.parent_id, count(*) AS quizzes
            FROM activity_item i JOIN course c ON c.id = i.course_id
            WHERE {IS_QUIZ_ASKED} GROUP BY i.parent_id
        ) q ON q.parent_id = i.id
        LEFT JOIN unnest(k.module_ids, k.module_medians) AS m(item_id, median) ON m.item_id = i.id
        WHERE {" OR ".join(f"({condition})" for condition in sorted(sources.items))}"""


def _progress_row(sources: Sources) -> str:
    # With the array, the index skips the other items: nine in ten of a course.
    return f"""
        SELECT {_PROGRESS_COLUMNS}, l.enrolled_on FROM live l
        JOIN activity_progress p ON p.enrollment_id = l.enrollment_id AND {_OF_ITEMS}
        WHERE NOT l.is_past
        UNION ALL
        {_progress_left_out() if sources.left_out else _progress_past(sources)}"""


_OF_ITEMS = "p.item_id = ANY(ARRAY(SELECT id FROM item))"
_PROGRESS_COLUMNS = (
    "p.enrollment_id, p.item_id, p.first_touched_at, p.last_touched_at, p.last_attempt_at,"
    " p.first_completed_at"
)


def _progress_left_out() -> str:
    return f"""SELECT {_PROGRESS_COLUMNS}, l.enrolled_on FROM ({progress_select("cut")}) p
        JOIN live l ON l.enrollment_id = p.enrollment_id"""


def _progress_past(sources: Sources) -> str:
    """Return the Progress rows as of a past instant.

    First instants come from the read models, if they are not later than as_of. If a last instant in
    the read models is later, it comes from the event log, as far back as signals need it. If the
    log has none in that time, the first touch is used: any earlier instant gives the same result.
    """
    as_of = sources.as_of
    columns = f"""p.enrollment_id, p.item_id, p.first_touched_at,
            CASE WHEN p.last_touched_at <= {as_of} THEN p.last_touched_at
                ELSE coalesce({_touched(sources, "last_touched_at")}, p.first_touched_at) END,
            CASE WHEN p.last_attempt_at <= {as_of} THEN p.last_attempt_at
                ELSE {_touched(sources, "last_attempt_at")} END,
            CASE WHEN p.first_completed_at <= {as_of} THEN p.first_completed_at END"""
    return f"""SELECT {columns}, l.enrolled_on FROM live l
        JOIN activity_progress p ON p.enrollment_id = l.enrollment_id AND {_OF_ITEMS}
        {_join_touched(sources)}
        WHERE l.is_past AND p.first_touched_at <= {as_of}"""


def _touched(sources: Sources, column: str) -> str:
    return f"q.{column}" if sources.touch_reach else "NULL::timestamptz"


def _join_touched(sources: Sources) -> str:
    if not sources.touch_reach:
        return ""
    return f"""LEFT JOIN (
            SELECT p.* FROM ({progress_select("cut")}) p WHERE {_OF_ITEMS}
        ) q ON q.enrollment_id = p.enrollment_id AND q.item_id = p.item_id"""


def _item_progress(_: Sources) -> str:
    return "SELECT p.*, i.* FROM progress_row p JOIN item i ON i.id = p.item_id"


def _progress(sources: Sources) -> str:
    return f"""
        SELECT {indent(["p.enrollment_id", *sources.progress.select()])}
        FROM item_progress p GROUP BY p.enrollment_id"""


def _pace(sources: Sources) -> str:
    """Return each learner's pace now, and the pace when the day began, which the norms contain.

    A pace is the median of the times of completed modules, each divided by the module's norm.
    """
    relative = f"{module_seconds('p')} / p.median"
    times = f"array_agg({relative} ORDER BY {relative})"
    return f"""
        SELECT x.enrollment_id, {rounded_pace(median_of("x.times"))} AS pace,
            {rounded_pace(median_of("x.times_before"))} AS pace_before
        FROM (
            SELECT p.enrollment_id, {times} AS times,
                {times} FILTER (WHERE p.first_completed_at < {sources.since(1)}) AS times_before
            FROM item_progress p
            WHERE p.median IS NOT NULL AND p.first_completed_at IS NOT NULL
            GROUP BY p.enrollment_id
        ) x"""


_ITEMS = frozenset({Need.PROGRESS, Need.PACE})
_ACTS = _ITEMS | {Need.DAILY}
_LIVE = _ACTS | {Need.LOG}
_PARTS = (
    _Part("course AS MATERIALIZED", _course),
    _Part("fact AS MATERIALIZED", _fact),
    _Part("scope AS MATERIALIZED", _scope),
    _Part("live AS", _live, _LIVE),
    _Part("cut AS", _cut, _ACTS),
    _Part("item AS MATERIALIZED", _item, _ITEMS),
    _Part("log AS", _log, frozenset({Need.LOG})),
    _Part("daily AS", _daily, frozenset({Need.DAILY})),
    # MATERIALIZED: the planner expects few rows and would otherwise join the items by a loop.
    _Part("progress_row AS MATERIALIZED", _progress_row, _ITEMS),
    _Part("item_progress AS", _item_progress, _ITEMS),
    _Part("progress AS", _progress, frozenset({Need.PROGRESS})),
    _Part("pace AS", _pace, frozenset({Need.PACE})),
)
# The join for each need of an enrollment's row.
_JOINS = {
    Need.DAILY: "LEFT JOIN daily d ON d.enrollment_id = s.enrollment_id",
    Need.LOG: "LEFT JOIN log b ON b.enrollment_id = s.enrollment_id",
    Need.PROGRESS: "LEFT JOIN progress g ON g.enrollment_id = s.enrollment_id",
    Need.PACE: "LEFT JOIN pace w ON w.enrollment_id = s.enrollment_id",
    Need.TRAITS: "LEFT JOIN activity_learner t ON t.id = s.learner_id",
}
