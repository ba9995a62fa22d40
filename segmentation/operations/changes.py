"""Who enters and who leaves, decided and written in one statement for a whole batch."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection

from activity.models import DueCause
from segmentation.compiler import Reading
from segmentation.models import TransitionCause as Cause
from segmentation.operations.definitions import Definition, Definitions

# jsonb_build_object takes at most 100 arguments.
_SIGNALS_A_CALL = 50

# Read when no segment is active: whoever is still held in anything that is not frozen leaves it.
_NOBODY_ASKS = """
SELECT enrollment_id, false AS in_scope, false AS over, NULL::timestamptz AS next_due
FROM unnest(%(ids)s::bigint[]) AS one (enrollment_id)
"""

# The first steps name their relations as they are; `change` is who enters and leaves, with the
# cause; the last steps write it. One statement, as temporary tables in every batch of every course
# would have PostgreSQL's own catalogs grow.
_STATEMENT = """
WITH reading AS MATERIALIZED (
    {reading}
), definition AS MATERIALIZED (
    SELECT * FROM unnest(%(segment)s::bigint[], %(playbook)s::bigint[], %(is_exclusive)s::bool[],
        %(rank)s::int[], %(version)s::int[], %(activated)s::bigint[], %(changed)s::bigint[],
        %(moved)s::bigint[], %(added)s::bigint[], %(include_present)s::bool[])
    AS one (segment_id, playbook_id, is_exclusive, rank, version, activated, changed,
        moved, added, include_present)
), held AS MATERIALIZED (
    SELECT member.id, member.enrollment_id, member.segment_id, segment.playbook_id, member.version,
        member.segment_id = ANY(%(frozen)s::bigint[]) AS is_frozen
    FROM segmentation_membership AS member
    JOIN segmentation_segment AS segment ON segment.id = member.segment_id
    WHERE member.enrollment_id = ANY(%(ids)s::bigint[]) AND member.left_at IS NULL
), hand AS MATERIALIZED (
    SELECT made.id, made.enrollment_id, made.segment_id, made.kind,
        made.applied_at IS NULL AS is_new, definition.playbook_id, definition.is_exclusive
    FROM segmentation_override AS made JOIN definition USING (segment_id)
    WHERE made.enrollment_id = ANY(%(ids)s::bigint[])
), candidate AS (
    {candidates}
    UNION
    SELECT hand.enrollment_id, hand.segment_id
    FROM hand JOIN reading USING (enrollment_id)
    WHERE hand.kind = 'added' AND reading.in_scope
), allowed AS (
    SELECT candidate.*, definition.playbook_id, definition.is_exclusive, definition.rank
    FROM candidate JOIN definition USING (segment_id)
    WHERE NOT EXISTS (
        SELECT FROM hand WHERE hand.enrollment_id = candidate.enrollment_id
            AND hand.segment_id = candidate.segment_id AND hand.kind = 'removed'
    )
), wanted AS (
    SELECT enrollment_id, segment_id FROM allowed WHERE NOT is_exclusive
    UNION ALL
    -- A frozen segment keeps its members, so in an exclusive playbook they can enter no other.
    (SELECT DISTINCT ON (enrollment_id, playbook_id) enrollment_id, segment_id
    FROM allowed
    WHERE is_exclusive AND NOT EXISTS (
        SELECT FROM held WHERE held.is_frozen AND held.enrollment_id = allowed.enrollment_id
            AND held.playbook_id = allowed.playbook_id
    )
    ORDER BY enrollment_id, playbook_id, rank)
), difference AS (
    SELECT enrollment_id, segment_id, held.id AS membership_id, held.version AS held_version
    FROM wanted FULL JOIN (SELECT * FROM held WHERE NOT is_frozen) AS held
        USING (enrollment_id, segment_id)
    WHERE held.id IS NULL OR wanted.segment_id IS NULL
), caused AS (
    SELECT difference.*, definition.rank, definition.include_present, definition.changed,
        definition.added, COALESCE(definition.version, difference.held_version) AS version,
        due.rules_revision, GREATEST(%(as_of)s, due.evaluated_at) AS at,
        CASE WHEN reading.over THEN '{course_over}'
            WHEN EXISTS (
                SELECT FROM hand WHERE hand.enrollment_id = difference.enrollment_id AND hand.is_new
                    AND (hand.segment_id = difference.segment_id
                        OR hand.is_exclusive AND hand.playbook_id = definition.playbook_id)
            ) THEN '{manual}'
            -- Archived, or its playbook is no longer kept for the course.
            WHEN definition.segment_id IS NULL THEN '{edit}'
            WHEN due.rules_revision IS NULL OR definition.added IS NULL
                OR due.rules_revision < GREATEST(definition.activated, definition.added)
            THEN '{baseline}'
            WHEN due.rules_revision < definition.moved OR due.cause = {edited}
                -- An item or the course itself was edited, and not everybody has been pulled for
                -- it yet: an event that comes first must not pass for the cause. All of a batch
                -- are of one course.
                OR (SELECT course.settled_edits < course.edits
                    FROM activity_course AS course
                    JOIN activity_enrollment AS one ON one.course_id = course.id
                    WHERE one.id = (SELECT enrollment_id FROM reading LIMIT 1))
            THEN '{edit}'
            WHEN due.cause = {acted} THEN '{event}'
            ELSE '{time}' END AS cause,
        CASE WHEN membership_id IS NULL THEN {signals} END AS signals
    FROM difference
    JOIN reading USING (enrollment_id)
    JOIN activity_due AS due USING (enrollment_id)
    LEFT JOIN definition USING (segment_id)
), change AS MATERIALIZED (
    SELECT *, CASE WHEN membership_id IS NULL THEN 'enter' ELSE 'leave' END AS kind,
        cause IN ('{event}', '{time}', '{manual}') OR (
            -- Ticked: those whom the segment's own activation or edit brings in, but nobody who
            -- is new to the system or whose course was added since.
            membership_id IS NULL AND include_present AND cause IN ('{baseline}', '{edit}')
            AND rules_revision < changed AND added <= changed
        ) IS TRUE AS starts,
        %(is_silent)s AND cause = '{time}' AS is_held_back
    FROM caused
), entered AS (
    INSERT INTO segmentation_membership (segment_id, enrollment_id, entered_at, version, signals)
    SELECT segment_id, enrollment_id, at, version, signals
    FROM change WHERE kind = 'enter' AND NOT is_held_back
    ORDER BY enrollment_id, segment_id
    RETURNING id
), gone AS (
    UPDATE segmentation_membership AS member SET left_at = change.at
    FROM change WHERE member.id = change.membership_id AND NOT change.is_held_back
    RETURNING member.id
), moved AS (
    -- Leavings first: react handles them in this order, and ends old runs before it starts new.
    INSERT INTO segmentation_transition (enrollment_id, segment_id, kind, cause, starts, version,
        occurred_at, processed_at, attempts, next_attempt_at, error)
    SELECT enrollment_id, segment_id, kind, cause, starts, version, at,
        CASE WHEN kind = 'enter' AND NOT starts THEN at END, 0, at, ''
    FROM change WHERE NOT is_held_back
    ORDER BY enrollment_id, kind DESC, rank, segment_id
), applied AS (
    UPDATE segmentation_override AS made SET applied_at = GREATEST(%(as_of)s, made.created_at)
    FROM hand WHERE made.id = hand.id AND hand.is_new
)
SELECT reading.enrollment_id,
    -- Whoever was held back is looked at again soon, as the feed may be back before midnight. And
    -- no instant may lie in the past: the same rows would be claimed again and again.
    CASE WHEN reading.enrollment_id IN (SELECT enrollment_id FROM change WHERE is_held_back)
        THEN LEAST(reading.next_due, %(as_of)s + interval '15 minutes')
        WHEN reading.next_due <= %(as_of)s THEN %(as_of)s + interval '1 second'
        ELSE reading.next_due END,
    (SELECT count(*) FROM entered), (SELECT count(*) FROM gone)
FROM reading
"""


@dataclass(frozen=True)
class Outcome:
    """How many memberships began and ended, and when each enrollment could next change."""

    entered: int
    left: int
    due_at: dict[int, datetime | None]


def write_changes(
    definitions: Definitions,
    reading: Reading | None,
    *,
    enrollment_ids: list[int],
    as_of: datetime,
    is_silent: bool,
) -> Outcome:
    """Write who of the batch enters and leaves: memberships, transitions, applied overrides.

    `reading` None: no segment is active. `is_silent`: nobody moves because time passed, as their
    acts may only not have arrived.
    """
    active = definitions.active
    params = _columns(active) | {
        "frozen": list(definitions.frozen),
        "ids": enrollment_ids,
        "as_of": as_of,
        "is_silent": is_silent,
        **(reading.params if reading else {}),
    }
    with connection.cursor() as cursor:
        cursor.execute(_statement(active, reading), params)
        rows = cursor.fetchall()
    entered, left = rows[0][2:] if rows else (0, 0)
    return Outcome(entered, left, {row[0]: row[1] for row in rows})


def _columns(active: Sequence[Definition]) -> dict[str, Any]:
    """Return the definitions column by column, for unnest."""
    names = ("rank", "is_exclusive", "version", "activated", "changed", "moved", "added")
    columns: dict[str, Any] = {
        name: [getattr(one, name) for one in active] for name in (*names, "include_present")
    }
    return columns | {
        "segment": [one.segment_id for one in active],
        "playbook": [one.playbook_id for one in active],
    }


def _statement(active: Sequence[Definition], reading: Reading | None) -> str:
    parts = [_candidates(one, reading) for one in active if reading is not None]
    nobody = "SELECT NULL::bigint AS enrollment_id, NULL::bigint AS segment_id WHERE false"
    causes = {cause.name.lower(): cause.value for cause in Cause}
    return _STATEMENT.format(
        reading=reading.sql if reading else _NOBODY_ASKS,
        candidates="\n    UNION ALL\n    ".join(parts) or nobody,
        signals=_signals(active, reading),
        edited=int(DueCause.EDIT),
        acted=int(DueCause.EVENT),
        **causes,
    )


def _candidates(one: Definition, reading: Reading) -> str:
    """Return the SELECT of those whom the segment's rules want in it."""
    columns = f"SELECT reading.enrollment_id, {one.segment_id}::bigint AS segment_id"
    rule = f"reading.{_quoted(reading.rule_columns[one.segment_id])}"
    if one.rules.leave_rule is None:
        return f"{columns} FROM reading WHERE reading.in_scope AND {rule}"
    leave = f"reading.{_quoted(reading.leave_columns[one.segment_id])}"
    # Nobody enters while the leave rule is true: they would leave at the next evaluation and enter
    # again at the one after it, with a message each time.
    return f"""{columns} FROM reading
    WHERE reading.in_scope AND {leave} IS NOT TRUE AND ({rule} OR EXISTS (
        SELECT FROM held WHERE held.enrollment_id = reading.enrollment_id
            AND held.segment_id = {one.segment_id}
    ))"""


def _signals(active: Sequence[Definition], reading: Reading | None) -> str:
    """Return SQL for what the signals of the entered segment's rule are, as jsonb."""
    if reading is None or not active:
        return "'{}'::jsonb"
    cases = " ".join(
        f"WHEN {one.segment_id} THEN {_objects(one.signals, reading)}" for one in active
    )
    return f"CASE segment_id {cases} END"


def _objects(names: Sequence[str], reading: Reading) -> str:
    pairs = [f"'{name}', reading.{_quoted(reading.signal_columns[name])}" for name in names]
    calls = [
        f"jsonb_build_object({', '.join(pairs[start : start + _SIGNALS_A_CALL])})"
        for start in range(0, len(pairs), _SIGNALS_A_CALL)
    ]
    return " || ".join(calls)


def _quoted(name: str) -> str:
    return connection.ops.quote_name(name)
