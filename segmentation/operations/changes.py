"""Decide and write entries and leavings in one statement for a whole batch."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from django.db import connection

from activity.models import Course, DueCause
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
WITH {difference}, part AS MATERIALIZED (
    SELECT * FROM unnest(%(course)s::bigint[], %(is_silent)s::bool[], %(late_starts)s::bool[],
        %(day)s::date[]) AS one (course_id, is_silent, late_starts, day)
), link AS MATERIALIZED (
    SELECT * FROM unnest(%(link_course)s::bigint[], %(link_playbook)s::bigint[],
        %(link_added)s::bigint[]) AS one (course_id, playbook_id, added)
), attributed AS (
    SELECT * FROM unnest(%(moved_enrollment)s::bigint[], %(moved_segment)s::bigint[],
        %(moved_by)s::text[]) AS one (enrollment_id, segment_id, cause)
), caused AS (
    SELECT difference.*, definition.rank, definition.include_present, definition.changed,
        link.added, part.*, COALESCE(definition.version, difference.held_version) AS version,
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
            WHEN due.rules_revision IS NULL OR link.added IS NULL
                OR due.rules_revision < GREATEST(definition.activated, link.added)
            THEN '{baseline}'
            WHEN due.rules_revision < definition.moved OR due.cause = {edited}
                -- An item or the course was edited, and not all enrollments have been pulled for
                -- it yet. An event that arrives meanwhile must not count as the cause.
                OR course.settled_edits < course.edits
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
    JOIN part USING (course_id)
    JOIN activity_course AS course ON course.id = reading.course_id
    LEFT JOIN definition USING (segment_id)
    LEFT JOIN link ON link.course_id = reading.course_id
        AND link.playbook_id = definition.playbook_id
    LEFT JOIN attributed USING (enrollment_id, segment_id)
), change AS MATERIALIZED (
    SELECT *, CASE WHEN membership_id IS NULL THEN 'enter' ELSE 'leave' END AS kind,
        cause IN ('{event}', '{time}', '{manual}') OR cause = '{late}' AND late_starts OR (
            -- If ticked: learners who enter because of the segment's own activation or edit, but
            -- not learners who are new to the system or whose course was added later.
            membership_id IS NULL AND include_present AND cause IN ('{baseline}', '{edit}')
            AND rules_revision < changed AND added <= changed
        ) IS TRUE AS starts,
        is_silent AND cause = '{time}' AS is_held_back,
        -- Entries by time are counted before they start anything: too many are a surge.
        day IS NOT NULL AND membership_id IS NULL AND cause = '{time}' AS waits
    FROM caused
), numbered AS MATERIALIZED (
    -- Leavings first: react uses this order, so that it ends old runs before it starts new ones.
    -- The number is taken here, because to join what was inserted with `change` compares all rows
    -- with all others: PostgreSQL expects few of them.
    SELECT *, nextval(pg_get_serial_sequence('segmentation_transition', 'id')) AS transition_id
    FROM (
        SELECT * FROM change WHERE NOT is_held_back
        ORDER BY enrollment_id, kind DESC, rank, segment_id
    ) AS ordered
), entered AS (
    INSERT INTO segmentation_membership (segment_id, enrollment_id, entered_at, version, signals)
    SELECT segment_id, enrollment_id, at, version, signals
    FROM numbered WHERE kind = 'enter'
    ORDER BY enrollment_id, segment_id
), gone AS (
    UPDATE segmentation_membership AS member SET left_at = numbered.at
    FROM numbered WHERE member.id = numbered.membership_id
), moved AS (
    INSERT INTO segmentation_transition (id, enrollment_id, segment_id, kind, cause, starts,
        version, occurred_at, processed_at, attempts, next_attempt_at, error)
    SELECT transition_id, enrollment_id, segment_id, kind, cause, starts AND NOT waits, version, at,
        CASE WHEN kind = 'enter' AND (waits OR NOT starts) THEN at END, 0, at, ''
    FROM numbered ORDER BY transition_id
), waiting AS (
    INSERT INTO segmentation_waitingentry (transition_id, enrollment_id, segment_id, course_id, day,
        entered_at, is_counted)
    SELECT transition_id, enrollment_id, segment_id, course_id, day, at, false
    FROM numbered WHERE waits
    ORDER BY enrollment_id, segment_id
), gone_while_waiting AS (
    DELETE FROM segmentation_waitingentry AS entry USING numbered
    WHERE numbered.kind = 'leave' AND entry.enrollment_id = numbered.enrollment_id
        AND entry.segment_id = numbered.segment_id
), applied AS (
    UPDATE segmentation_override AS made SET applied_at = GREATEST(%(as_of)s, made.created_at)
    FROM override WHERE made.id = override.id AND override.is_new
)
SELECT reading.course_id, reading.enrollment_id,
    -- Enrollments that were held back are evaluated again soon, because the feed may be back before
    -- midnight. No instant may be in the past, or the same rows would be claimed again and again.
    CASE WHEN moves.is_held_back
        THEN LEAST(reading.next_due, %(as_of)s + interval '15 minutes')
        WHEN reading.next_due <= %(as_of)s THEN %(as_of)s + interval '1 second'
        ELSE reading.next_due END,
    COALESCE(moves.entered, 0), COALESCE(moves.gone, 0)
FROM reading LEFT JOIN (
    SELECT enrollment_id, bool_or(is_held_back) AS is_held_back,
        count(*) FILTER (WHERE kind = 'enter' AND NOT is_held_back) AS entered,
        count(*) FILTER (WHERE kind = 'leave' AND NOT is_held_back) AS gone
    FROM change GROUP BY enrollment_id
) AS moves USING (enrollment_id)
"""


@dataclass
class Outcome:
    """What became of the enrollments of one course: when each could next change, and how many
    memberships began and ended.
    """

    due_at: dict[int, datetime | None] = field(default_factory=dict)
    entered: int = 0
    left: int = 0

    def add(self, enrollment_id: int, due_at: datetime | None, entered: int, left: int) -> None:
        """Add what became of one enrollment."""
        self.due_at[enrollment_id] = due_at
        self.entered += entered
        self.left += left


def write_changes(
    definitions: Definitions, batch: Batch, attributed: Attributed
) -> dict[int, Outcome]:
    """Write the entries and leavings of the batch: memberships, transitions, applied overrides.

    Return the outcome by course.

    `attributed` has the causes of transitions of enrollments that received late events.
    """
    reading = compile_batch(definitions.active, batch)
    params = difference_params(definitions, reading, batch) | {
        "as_of": batch.as_of,
        "course": [part.course.id for part in batch.parts],
        "is_silent": [part.is_silent for part in batch.parts],
        "late_starts": [part.course.late_events_start for part in batch.parts],
        "day": [_counted_day(part.course, batch.as_of) for part in batch.parts],
        "link_course": [link.course_id for link in definitions.links],
        "link_playbook": [link.playbook_id for link in definitions.links],
        "link_added": [link.added for link in definitions.links],
        "moved_enrollment": [enrollment_id for enrollment_id, _ in attributed],
        "moved_segment": [segment_id for _, segment_id in attributed],
        "moved_by": list(attributed.values()),
    }
    if reading is not None:
        params |= {alias: identity for identity, alias in reading.signals.items()}
    with connection.cursor() as cursor:
        cursor.execute(_statement(definitions, reading), params)
        rows = cursor.fetchall()
    outcomes = {part.course.id: Outcome() for part in batch.parts}
    for course_id, *row in rows:
        outcomes[course_id].add(*row)
    return outcomes


def _counted_day(course: Course, as_of: datetime) -> date | None:
    """Return the local day on which entries by time are counted, or None if nothing may start."""
    is_live = course.live_since is not None and course.live_since <= as_of
    if not is_live or course.clock_stopped_at is not None:
        return None
    return local_date(as_of, course.time_zone)


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
