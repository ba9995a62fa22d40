"""Count the learners that an unsaved rule matches, and who would enter and leave. Read only."""

# Every value is bound; only texts from the compiler are put into the statement.

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from django.db import connection

from activity.models import Course
from segmentation.compiler import Reading, compile_rule, compile_signals
from segmentation.models import PlaybookMode, Segment, SegmentStatus
from segmentation.queries.norms import norms_needed
from segmentation.rules import Condition, Group, conditions
from segmentation.signals import SignalValue, Subject, needs_of
from segmentation.sql import Params

EXAMPLES = 10
# Conditions are counted one by one up to here. Each adds two columns to the statement.
MOST_COUNTED = 50
# The first number of our advisory locks; the second is the user's id.
_TURN = 20253

# `reading` holds the signals of each enrollment in scope: they are computed once, and the rule and
# each condition compare them. `wanted` says who would be in the segment, by the same rules as
# segmentation.operations.differences. Earlier segments of an exclusive playbook keep their present
# members.
_STATEMENT = """
WITH reading AS MATERIALIZED (
    SELECT {columns} FROM ({reading}) x WHERE x.in_scope
), kept AS (
    -- Of this course alone: a playbook may be kept for many courses. One pass for all segments,
    -- because each pass looks up every enrollment of the course.
    SELECT enrollment_id, bool_or(segment_id = %(segment)s) AS is_held,
        bool_or(segment_id = ANY(%(earlier)s::bigint[])) AS is_taken
    FROM segmentation_membership JOIN reading USING (enrollment_id)
    WHERE segment_id = ANY(%(earlier)s::bigint[] || %(segment)s::bigint) AND left_at IS NULL
    GROUP BY enrollment_id
), made AS (
    SELECT enrollment_id, kind FROM segmentation_override WHERE segment_id = %(segment)s
), judged AS (
    SELECT r.enrollment_id, {judged} FROM reading r
), wanted AS (
    SELECT judged.*, is_held IS TRUE AS is_held, is_taken IS TRUE AS is_taken,
        is_taken IS NOT TRUE AND made.kind IS DISTINCT FROM 'removed' AND (
            made.kind = 'added' OR leaves IS NOT TRUE AND (matches OR {stays})) IS TRUE AS is_wanted
    FROM judged LEFT JOIN kept USING (enrollment_id) LEFT JOIN made USING (enrollment_id)
)
SELECT counted.*, examples.found
FROM (
    SELECT count(*), count(*) FILTER (WHERE matches),
        count(*) FILTER (WHERE is_wanted), count(*) FILTER (WHERE is_wanted AND NOT is_held),
        count(*) FILTER (WHERE is_held AND NOT is_wanted),
        count(*) FILTER (WHERE matches AND is_taken),
        (array_agg(enrollment_id) FILTER (WHERE is_wanted AND NOT is_held))[:{examples}],
        (array_agg(enrollment_id) FILTER (WHERE is_held AND NOT is_wanted))[:{examples}], {counts}
    FROM wanted
) counted, (
    SELECT jsonb_agg(to_jsonb(example) ORDER BY enrollment_id) AS found FROM (
        SELECT * FROM reading r WHERE {rule} ORDER BY enrollment_id LIMIT {examples}
    ) example
) examples
"""


@dataclass(frozen=True)
class Example:
    """One enrollment that the rule matches, with its signals by identity."""

    enrollment_id: int
    signals: dict[str, SignalValue]


@dataclass(frozen=True)
class ConditionCount:
    """For how many enrollments one condition is true, and for how many its signal is unknown."""

    condition: Condition
    true: int
    unknown: int


@dataclass(frozen=True)
class RuleCount:
    """The enrollments in scope, those that the rule matches, and the members after a save.

    `taken` are matches that another segment of an exclusive playbook keeps. `entering` and
    `leaving` are the enrollments of at most ten examples each.
    """

    of: int
    matches: int
    members: int
    enter: int
    leave: int
    taken: int
    entering: tuple[int, ...]
    leaving: tuple[int, ...]
    conditions: tuple[ConditionCount, ...]
    examples: tuple[Example, ...]


def take_turn(user_id: int) -> bool:
    """Take the one turn of the user to count, until the transaction ends. Return False if taken.

    Somebody who types sends requests faster than a large course can be counted. A request that
    waited for its turn would keep a thread of the web server for an answer that nobody needs.
    """
    with connection.cursor() as cursor:
        # As in an evaluation: compiling such statements takes more time than it saves.
        cursor.execute(
            "SELECT pg_try_advisory_xact_lock(%s, %s), set_config('jit', 'off', true),"
            " set_config('work_mem', '64MB', true)",
            [_TURN, user_id],
        )
        taken, *_ = cursor.fetchone()
    return bool(taken)


def count_rule(
    rule: Group, leave_rule: Group | None, course: Course, *, as_of: datetime, segment: Segment
) -> RuleCount:
    """Return the counts and ten examples for rules that the segment may not have yet.

    `segment` may be unsaved. One query, another in an exclusive playbook, and up to two more if a
    signal needs norms.
    """
    asked = tuple(dict.fromkeys(conditions(rule)))[:MOST_COUNTED]
    reading = _read_signals(rule, leave_rule, course, as_of=as_of)
    params = Params(prefix="rule")
    sql = _statement(reading, params, rule, leave_rule, asked)
    given = reading.params | params.values | {"segment": segment.pk, "earlier": _earlier(segment)}
    with connection.cursor() as cursor:
        cursor.execute(sql, given)
        of, matches, members, enter, leave, taken, come, go, *each, found = cursor.fetchone()
    return RuleCount(
        of, matches, members, enter, leave, taken, tuple(come or ()), tuple(go or ()),
        tuple(map(ConditionCount, asked, each[::2], each[1::2])),
        tuple(_example(row, reading) for row in json.loads(found or "[]")),
    )  # fmt: skip


def _read_signals(
    rule: Group, leave_rule: Group | None, course: Course, *, as_of: datetime
) -> Reading:
    rules = [one for one in (rule, leave_rule) if one is not None]
    refs = list(dict.fromkeys(each.ref for one in rules for each in conditions(one)))
    norms = norms_needed(course, needs_of(refs), as_of=as_of)
    return compile_signals(refs, Subject(course.pk, as_of, None, norms))


def _statement(
    reading: Reading,
    params: Params,
    rule: Group,
    leave_rule: Group | None,
    asked: Sequence[Condition],
) -> str:
    compiled = partial(compile_rule, params=params, aliases=reading.signals)
    judged = {"matches": compiled(rule), "leaves": compiled(leave_rule) if leave_rule else "false"}
    judged |= {f"c{number}": compiled(condition) for number, condition in enumerate(asked)}
    return _STATEMENT.format(
        columns=", ".join(["x.enrollment_id", *(f"x.{one}" for one in reading.signals.values())]),
        reading=reading.sql,
        judged=", ".join(f"{condition} AS {name}" for name, condition in judged.items()),
        # Without a leave rule, a member stays only while the rule is true.
        stays="is_held IS TRUE" if leave_rule else "false",
        rule=judged["matches"],
        counts=", ".join(_counts(f"c{number}") for number in range(len(asked))),
        examples=EXAMPLES,
    )


def _counts(column: str) -> str:
    return f"count(*) FILTER (WHERE {column}), count(*) FILTER (WHERE {column} IS NULL)"


def _earlier(segment: Segment) -> list[int]:
    """Return the segments of an exclusive playbook that keep their members before this one."""
    if segment.playbook.mode != PlaybookMode.EXCLUSIVE:
        return []
    others = Segment.objects.filter(playbook=segment.playbook_id).exclude(pk=segment.pk)
    place = (segment.priority, segment.key)
    return [
        pk
        for pk, priority, key, status in others.values_list("pk", "priority", "key", "status")
        # A frozen segment keeps its members, whatever its place.
        if (priority, key) < place or status == SegmentStatus.FROZEN
    ]


def _example(row: dict[str, Any], reading: Reading) -> Example:
    signals = {identity: row[alias] for identity, alias in reading.signals.items()}
    return Example(row["enrollment_id"], signals)
