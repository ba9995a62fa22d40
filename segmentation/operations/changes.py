"""Decide and write entries and leavings in one statement for a whole batch."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from django.db import connection

from activity.models import DueCause
from common.clock import local_date
from segmentation.compiler import Reading
from segmentation.models import TransitionCause as Cause
from segmentation.operations.attribution import Attributed
from segmentation.operations.definitions import Definition, Definitions
from segmentation.operations.differences import (
    Batch,
    compile_batch,
    difference_params,
    difference_sql,
)

# jsonb_build_object takes at most 100 arguments.
_SIGNALS_A_CALL = 50

# `change` has the entries and leavings with their causes. The last steps write them. This is one
# statement, because temporary tables in every batch would make PostgreSQL's catalogs grow.
_STATEMENT = """
WITH {difference}, attributed AS (
    SELECT * FROM unnest(%(moved_enrollment)s::bigint[], %(moved_segment)s::bigint[],
        %(moved_by)s::text[]) AS one (enrollment_id, segment_id, cause)
), caused AS (
    SELECT difference.*, definition.rank, definition.include_present, definition.changed,
        definition.added, COALESCE(definition.version, difference.held_version) AS version,
        due.rules_revision, GREATEST(%(as_of)s, due.evaluated_at) AS at,
        CASE WHEN reading.over THEN '{course_over}'
            WHEN EXISTS (
                SELECT FROM override
                WHERE override.enrollment_id = difference.enrollment_id AND override.is_new
                    AND (override.segment_id = difference.segment_id
                        OR override.is_exclusive AND override.playbook_id = definition.playbook_id)
            ) THEN '{manual}'
            -- The segment is archived, or its playbook is no longer kept for the course.
            WHEN definition.segment_id IS NULL THEN '{edit}'
            WHEN due.rules_revision IS NULL OR definition.added IS NULL
                OR due.rules_revision < GREATEST(definition.activated, definition.added)
            THEN '{baseline}'
            WHEN due.rules_revision < definition.moved OR due.cause = {edited}
                -- An item or the course was edited, and not all enrollments have been pulled for
                -- it yet. An event that arrives meanwhile must not count as the cause. All
                -- enrollments of a batch belong to one course.
                OR (SELECT course.settled_edits < course.edits
                    FROM activity_course AS course
                    JOIN activity_enrollment AS one ON one.course_id = course.id
                    WHERE one.id = (SELECT enrollment_id FROM reading LIMIT 1))
            THEN '{edit}'
            -- After late events, the cause of each transition was found by more readings. These are
            -- left out in a course that is not live, because nothing starts there.
            WHEN due.late_since IS NOT NULL THEN COALESCE(attributed.cause, '{late}')
            WHEN due.cause = {acted} THEN '{event}'
            ELSE '{time}' END AS cause,
        CASE WHEN membership_id IS NULL THEN {signals} END AS signals
    FROM difference
    JOIN reading USING (enrollment_id)
    JOIN activity_due AS due USING (enrollment_id)
    LEFT JOIN definition USING (segment_id)
    LEFT JOIN attributed USING (enrollment_id, segment_id)
), change AS MATERIALIZED (
    SELECT *, CASE WHEN membership_id IS NULL THEN 'enter' ELSE 'leave' END AS kind,
        cause IN ('{event}', '{time}', '{manual}') OR cause = '{late}' AND %(late_starts)s OR (
            -- If ticked: learners who enter because of the segment's own activation or edit, but
            -- not learners who are new to the system or whose course was added later.
            membership_id IS NULL AND include_present AND cause IN ('{baseline}', '{edit}')
            AND rules_revision < changed AND added <= changed
        ) IS TRUE AS starts,
        %(is_silent)s AND cause = '{time}' AS is_held_back,
        -- Entries by time are counted before they start anything: too many are a surge.
        %(day)s::date IS NOT NULL AND membership_id IS NULL AND cause = '{time}' AS waits
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
    -- Leavings first: react uses this order, so that it ends old runs before it starts new ones.
    INSERT INTO segmentation_transition (enrollment_id, segment_id, kind, cause, starts, version,
        occurred_at, processed_at, attempts, next_attempt_at, error)
    SELECT enrollment_id, segment_id, kind, cause, starts AND NOT waits, version, at,
        CASE WHEN kind = 'enter' AND (waits OR NOT starts) THEN at END, 0, at, ''
    FROM change WHERE NOT is_held_back
    ORDER BY enrollment_id, kind DESC, rank, segment_id
    RETURNING id, enrollment_id, segment_id
), waiting AS (
    INSERT INTO segmentation_waitingentry (transition_id, enrollment_id, segment_id, course_id, day,
        entered_at, is_counted)
    SELECT moved.id, enrollment_id, segment_id, %(course)s, %(day)s, change.at, false
    FROM moved JOIN change USING (enrollment_id, segment_id) WHERE change.waits
    ORDER BY enrollment_id, segment_id
), gone_while_waiting AS (
    DELETE FROM segmentation_waitingentry AS entry USING change
    WHERE change.kind = 'leave' AND NOT change.is_held_back
        AND entry.enrollment_id = change.enrollment_id AND entry.segment_id = change.segment_id
), applied AS (
    UPDATE segmentation_override AS made SET applied_at = GREATEST(%(as_of)s, made.created_at)
    FROM override WHERE made.id = override.id AND override.is_new
)
SELECT reading.enrollment_id,
    -- Enrollments that were held back are evaluated again soon, because the feed may be back before
    -- midnight. No instant may be in the past, or the same rows would be claimed again and again.
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


def write_changes(definitions: Definitions, batch: Batch, attributed: Attributed) -> Outcome:
    """Write the entries and leavings of the batch: memberships, transitions, applied overrides.

    `attributed` has the causes of transitions of enrollments that received late events.
    """
    reading = compile_batch(definitions.active, batch)
    params = difference_params(definitions, reading, batch) | {
        "as_of": batch.as_of,
        "is_silent": batch.is_silent,
        "late_starts": batch.course.late_events_start,
        "course": batch.course.id,
        "day": _counted_day(batch),
        "moved_enrollment": [enrollment_id for enrollment_id, _ in attributed],
        "moved_segment": [segment_id for _, segment_id in attributed],
        "moved_by": list(attributed.values()),
    }
    if reading is not None:
        params |= {alias: identity for identity, alias in reading.signals.items()}
    with connection.cursor() as cursor:
        cursor.execute(_statement(definitions, reading), params)
        rows = cursor.fetchall()
    entered, left = rows[0][2:] if rows else (0, 0)
    return Outcome(entered, left, {row[0]: row[1] for row in rows})


def _counted_day(batch: Batch) -> date | None:
    """Return the local day on which entries by time are counted, or None if nothing may start."""
    course = batch.course
    is_live = course.live_since is not None and course.live_since <= batch.as_of
    if not is_live or course.clock_stopped_at is not None:
        return None
    return local_date(batch.as_of, course.time_zone)


def _statement(definitions: Definitions, reading: Reading | None) -> str:
    causes: dict[str, Any] = {cause.name.lower(): cause.value for cause in Cause}
    return _STATEMENT.format(
        difference=difference_sql(definitions, reading),
        signals=_signals(definitions.active, reading),
        edited=int(DueCause.EDIT),
        acted=int(DueCause.EVENT),
        **causes,
    )


def _signals(active: Sequence[Definition], reading: Reading | None) -> str:
    """Return SQL for the signals of the entered segment's rule, as jsonb."""
    if reading is None or not active:
        return "'{}'::jsonb"
    cases = " ".join(
        f"WHEN {one.segment_id} THEN {_objects(one.signals, reading)}" for one in active
    )
    return f"CASE segment_id {cases} END"


def _objects(identities: Sequence[str], reading: Reading) -> str:
    # The identity is bound as a value named by the alias, because it may contain any text.
    aliases = [reading.signals[identity] for identity in identities]
    pairs = [f"%({alias})s::text, reading.{alias}" for alias in aliases]
    calls = [
        f"jsonb_build_object({', '.join(pairs[start : start + _SIGNALS_A_CALL])})"
        for start in range(0, len(pairs), _SIGNALS_A_CALL)
    ]
    return " || ".join(calls)
