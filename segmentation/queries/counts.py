"""Count the learners that an unsaved rule matches, and who would enter and leave. Read only."""

# Every value is bound; only texts from the compiler are put into the statement.

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection

from activity.models import Course
from segmentation.compiler import Reading, SegmentRules, compile_reading
from segmentation.models import PlaybookMode, Segment, SegmentStatus
from segmentation.queries.norms import norms_needed
from segmentation.rules import Combinator, Condition, Group, conditions
from segmentation.signals import SignalValue

EXAMPLES = 10
# Conditions are counted one by one up to here. Each adds two columns to the statement.
MOST_COUNTED = 50
# The first number of our advisory locks; the second is the user's id.
_TURN = 20253
_RULE = 0

# `reading` holds a row per enrollment in scope. `wanted` says who would be in the segment, by the
# same rules as segmentation.operations.differences; earlier segments of an exclusive playbook keep
# their present members.
_STATEMENT = """
WITH reading AS MATERIALIZED (
    SELECT {columns} FROM ({reading}) x WHERE x.in_scope
), held AS (
    -- Of this course alone: a playbook may be kept for many courses.
    SELECT enrollment_id FROM segmentation_membership JOIN reading USING (enrollment_id)
    WHERE segment_id = %(segment)s AND left_at IS NULL
), made AS (
    SELECT enrollment_id, kind FROM segmentation_override WHERE segment_id = %(segment)s
), taken AS (
    SELECT DISTINCT enrollment_id
    FROM segmentation_membership JOIN reading USING (enrollment_id)
    WHERE segment_id = ANY(%(earlier)s::bigint[]) AND left_at IS NULL
), wanted AS (
    SELECT reading.*, held.enrollment_id IS NOT NULL AS is_held,
        taken.enrollment_id IS NOT NULL AS is_taken,
        taken.enrollment_id IS NULL AND made.kind IS DISTINCT FROM 'removed' AND (
            made.kind = 'added' OR ({candidate})) IS TRUE AS is_wanted
    FROM reading LEFT JOIN held USING (enrollment_id) LEFT JOIN made USING (enrollment_id)
        LEFT JOIN taken USING (enrollment_id)
)
SELECT counted.*, examples.found
FROM (
    SELECT count(*), count(*) FILTER (WHERE matches),
        count(*) FILTER (WHERE is_wanted), count(*) FILTER (WHERE is_wanted AND NOT is_held),
        count(*) FILTER (WHERE is_held AND NOT is_wanted),
        count(*) FILTER (WHERE matches AND is_taken), {counts}
    FROM wanted
) counted, (
    SELECT jsonb_agg(to_jsonb(example) ORDER BY enrollment_id) AS found FROM (
        SELECT * FROM reading WHERE matches ORDER BY enrollment_id LIMIT {examples}
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

    `taken` are matches that another segment of an exclusive playbook keeps.
    """

    of: int
    matches: int
    members: int
    enter: int
    leave: int
    taken: int
    conditions: tuple[ConditionCount, ...]
    examples: tuple[Example, ...]


def take_turn(user_id: int) -> bool:
    """Take the one turn of the user to count, until the transaction ends. Return False if taken.

    Somebody who types sends requests faster than a large course can be counted. A request that
    waited for its turn would keep a thread of the web server for an answer that nobody needs.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s, %s)", [_TURN, user_id])
        (taken,) = cursor.fetchone()
    return bool(taken)


def count_rule(
    rule: Group, leave_rule: Group | None, course: Course, *, as_of: datetime, segment: Segment
) -> RuleCount:
    """Return the counts and ten examples for rules that the segment may not have yet.

    `segment` may be unsaved. Two queries, up to four if a signal needs norms.
    """
    asked = tuple(dict.fromkeys(conditions(rule)))[:MOST_COUNTED]
    reading = _read(rule, leave_rule, asked, course, as_of=as_of)
    params = reading.params | {"segment": segment.pk, "earlier": _earlier(segment)}
    with connection.cursor() as cursor:
        cursor.execute(_statement(reading, asked, has_leave_rule=leave_rule is not None), params)
        of, matches, members, enter, leave, taken, *each, found = cursor.fetchone()
    return RuleCount(
        of, matches, members, enter, leave, taken,
        tuple(map(ConditionCount, asked, each[::2], each[1::2])),
        tuple(_example(row, reading) for row in json.loads(found or "[]")),
    )  # fmt: skip


def _read(
    rule: Group,
    leave_rule: Group | None,
    asked: Sequence[Condition],
    course: Course,
    *,
    as_of: datetime,
) -> Reading:
    whole = SegmentRules(_RULE, rule, leave_rule)
    alone = (Group(Combinator.AND, negated=False, rules=(each,)) for each in asked)
    return compile_reading(
        [whole, *(SegmentRules(number, each) for number, each in enumerate(alone, 1))],
        course_id=course.pk,
        as_of=as_of,
        enrollment_ids=None,
        norms=norms_needed(course, whole.needs(), as_of=as_of),
    )


def _statement(reading: Reading, asked: Sequence[Condition], *, has_leave_rule: bool) -> str:
    columns = ["x.enrollment_id", f"x.{reading.rule_columns[_RULE]} AS matches"]
    candidate = "reading.matches"
    if has_leave_rule:
        columns.append(f"x.{reading.leave_columns[_RULE]} AS leaves")
        candidate = "reading.leaves IS NOT TRUE AND (matches OR held.enrollment_id IS NOT NULL)"
    columns += [f"x.{reading.rule_columns[number]}" for number in range(1, len(asked) + 1)]
    columns += [f"x.{alias}" for alias in reading.signals.values()]
    return _STATEMENT.format(
        columns=", ".join(columns),
        reading=reading.sql,
        candidate=candidate,
        counts=_counts(reading, len(asked)),
        examples=EXAMPLES,
    )


def _counts(reading: Reading, number: int) -> str:
    columns = [reading.rule_columns[each] for each in range(1, number + 1)]
    return ", ".join(
        f"count(*) FILTER (WHERE {column}), count(*) FILTER (WHERE {column} IS NULL)"
        for column in columns
    )


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
