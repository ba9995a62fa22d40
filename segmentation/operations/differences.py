"""Compare the memberships of a batch with the result of the rules, in one SELECT. Read only."""

# Every value is bound; only texts from the compiler are put into the statement.

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any

from django.db import connection

from activity.models import Course
from common.clock import local_date
from segmentation.compiler import Reading, compile_rules
from segmentation.norms import NormsValues, norms_of
from segmentation.operations.definitions import Definition, Definitions
from segmentation.operations.norms import ensure_norms
from segmentation.signals import LeftOut, Subject

Pair = tuple[int, int]

# Used when no segment is active: members of segments that are not frozen then leave.
_NOBODY_ASKS = """
SELECT course_id, id AS enrollment_id, false AS in_scope, false AS over,
    NULL::timestamptz AS next_due
FROM activity_enrollment WHERE id = ANY(%(ids)s::bigint[])
"""

# The result is `difference`: the enrollments that have to enter or leave a segment.
_DIFFERENCE = """
reading AS MATERIALIZED (
    {reading}
), definition AS MATERIALIZED (
    SELECT * FROM unnest(%(segment)s::bigint[], %(playbook)s::bigint[], %(is_exclusive)s::bool[],
        %(rank)s::int[], %(version)s::int[], %(activated)s::bigint[], %(changed)s::bigint[],
        %(moved)s::bigint[], %(include_present)s::bool[])
    AS one (segment_id, playbook_id, is_exclusive, rank, version, activated, changed,
        moved, include_present)
), held AS MATERIALIZED (
    SELECT member.id, member.enrollment_id, member.segment_id, segment.playbook_id, member.version,
        member.segment_id = ANY(%(frozen)s::bigint[]) AS is_frozen
    FROM ({members}) AS member
    JOIN segmentation_segment AS segment ON segment.id = member.segment_id
), override AS MATERIALIZED (
    SELECT made.id, made.enrollment_id, made.segment_id, made.kind,
        made.applied_at IS NULL AS is_new, definition.playbook_id, definition.is_exclusive
    FROM segmentation_override AS made JOIN definition USING (segment_id)
    WHERE made.enrollment_id = ANY(%(ids)s::bigint[])
), candidate AS (
    {candidates}
    UNION
    SELECT override.enrollment_id, override.segment_id
    FROM override JOIN reading USING (enrollment_id)
    WHERE override.kind = 'added' AND reading.in_scope
), allowed AS (
    SELECT candidate.*, definition.playbook_id, definition.is_exclusive, definition.rank
    FROM candidate JOIN definition USING (segment_id)
    WHERE NOT EXISTS (
        SELECT FROM override WHERE override.enrollment_id = candidate.enrollment_id
            AND override.segment_id = candidate.segment_id AND override.kind = 'removed'
    )
), wanted AS (
    SELECT enrollment_id, segment_id FROM allowed WHERE NOT is_exclusive
    UNION ALL
    -- A frozen segment keeps its members. In an exclusive playbook they can enter no other segment.
    (SELECT DISTINCT ON (enrollment_id, playbook_id) enrollment_id, segment_id
    FROM allowed
    WHERE is_exclusive AND NOT EXISTS (
        SELECT FROM held WHERE held.is_frozen AND held.enrollment_id = allowed.enrollment_id
            AND held.playbook_id = allowed.playbook_id
    )
    ORDER BY enrollment_id, playbook_id, rank)
), difference AS (
    -- Of a FULL JOIN whose one side is null, PostgreSQL expects a single row. It would then compare
    -- each entry with all enrollments of the batch.
    SELECT enrollment_id, segment_id, NULL::bigint AS membership_id, NULL::integer AS held_version
    FROM wanted WHERE NOT EXISTS (
        SELECT FROM held WHERE NOT held.is_frozen
            AND held.enrollment_id = wanted.enrollment_id AND held.segment_id = wanted.segment_id
    )
    UNION ALL
    SELECT enrollment_id, segment_id, id, version
    FROM held WHERE NOT is_frozen AND NOT EXISTS (
        SELECT FROM wanted
        WHERE wanted.enrollment_id = held.enrollment_id AND wanted.segment_id = held.segment_id
    )
)
"""


_STORED = """
    SELECT id, enrollment_id, segment_id, version FROM segmentation_membership
    WHERE enrollment_id = ANY(%(ids)s::bigint[]) AND left_at IS NULL
"""
_ASSUMED = """
    SELECT place AS id, enrollment_id, segment_id, NULL::integer AS version
    FROM unnest(%(assumed_enrollment)s::bigint[], %(assumed_segment)s::bigint[])
        WITH ORDINALITY AS one (enrollment_id, segment_id, place)
"""


@dataclass(frozen=True, kw_only=True)
class Part:
    """The enrollments of one course in a batch.

    `is_silent`: the feed is silent, so passing time alone makes nobody enter or leave. `norms` are
    used instead of the stored ones.
    """

    course: Course
    enrollment_ids: list[int]
    is_silent: bool = False
    norms: NormsValues | None = None


@dataclass(frozen=True, kw_only=True)
class Batch:
    """The enrollments to evaluate, by course, and the instant. The courses keep the same segments.

    Of several courses the norms are read in the statement, and have to be stored. A course without
    them is left out: its enrollments stay due.
    `assumed` are used instead of the stored memberships; with them nothing is written.
    """

    parts: Sequence[Part]
    as_of: datetime
    assumed: Sequence[Pair] | None = None

    @property
    def enrollment_ids(self) -> list[int]:
        """Return the enrollments of all parts."""
        return [enrollment_id for part in self.parts for enrollment_id in part.enrollment_ids]

    @property
    def days(self) -> dict[int, date]:
        """Return the local day of the instant by course."""
        return {
            part.course.id: local_date(self.as_of, part.course.time_zone) for part in self.parts
        }

    def only(self, enrollment_ids: Container[int]) -> "Batch":
        """Return the batch with only these of its enrollments."""
        parts = (
            replace(part, enrollment_ids=[pk for pk in part.enrollment_ids if pk in enrollment_ids])
            for part in self.parts
        )
        return replace(self, parts=[part for part in parts if part.enrollment_ids])


def compile_batch(
    active: Sequence[Definition], batch: Batch, *, left_out: LeftOut | None = None
) -> Reading | None:
    """Return the statement that reads the batch, or None if no segment is active."""
    if not active:
        return None
    norms = _norms(active, batch)
    subjects = [
        Subject(part.course.id, batch.as_of, part.enrollment_ids, norms.get(part.course.id))
        for part in batch.parts
    ]
    return compile_rules([one.rules for one in active], subjects, left_out=left_out)


def difference_sql(
    definitions: Definitions, reading: Reading | None, *, is_assumed: bool = False
) -> str:
    """Return the table expressions up to `difference`: enrollment, segment, membership held."""
    parts = [_candidates(one, reading) for one in definitions.active if reading is not None]
    nobody = "SELECT NULL::bigint AS enrollment_id, NULL::bigint AS segment_id WHERE false"
    return _DIFFERENCE.format(
        reading=reading.sql if reading else _NOBODY_ASKS,
        members=_ASSUMED if is_assumed else _STORED,
        candidates="\n    UNION ALL\n    ".join(parts) or nobody,
    )


def difference_params(
    definitions: Definitions, reading: Reading | None, batch: Batch
) -> dict[str, Any]:
    """Return the parameters of `difference_sql`: the definitions column by column, for unnest."""
    active = definitions.active
    names = ("rank", "is_exclusive", "version", "activated", "changed", "moved")
    columns: dict[str, Any] = {
        name: [getattr(one, name) for one in active] for name in (*names, "include_present")
    }
    return columns | {
        "segment": [one.segment_id for one in active],
        "playbook": [one.playbook_id for one in active],
        "frozen": list(definitions.frozen),
        "ids": batch.enrollment_ids,
        "assumed_enrollment": [enrollment_id for enrollment_id, _ in batch.assumed or ()],
        "assumed_segment": [segment_id for _, segment_id in batch.assumed or ()],
        **(reading.params if reading else {}),
    }


def read_moves(
    definitions: Definitions, batch: Batch, *, left_out: LeftOut | None = None
) -> set[Pair]:
    """Return each enrollment and segment that it is to enter or to leave. Writes nothing."""
    reading = compile_batch(definitions.active, batch, left_out=left_out)
    sql = f"WITH {difference_sql(definitions, reading)} SELECT enrollment_id, segment_id"
    with connection.cursor() as cursor:
        cursor.execute(f"{sql} FROM difference", difference_params(definitions, reading, batch))
        return set(cursor.fetchall())


def _candidates(one: Definition, reading: Reading) -> str:
    """Return the SELECT of the enrollments that should be in the segment by its rules."""
    columns = f"SELECT reading.enrollment_id, {one.segment_id}::bigint AS segment_id"
    rule = f"reading.{quoted(reading.rule_columns[one.segment_id])}"
    if one.rules.leave_rule is None:
        return f"{columns} FROM reading WHERE reading.in_scope AND {rule}"
    leave = f"reading.{quoted(reading.leave_columns[one.segment_id])}"
    # No learner enters while the leave rule is true. Otherwise they would leave at the next
    # evaluation and enter again at the one after it, with a message each time.
    return f"""{columns} FROM reading
    WHERE reading.in_scope AND {leave} IS NOT TRUE AND ({rule} OR EXISTS (
        SELECT FROM held WHERE held.enrollment_id = reading.enrollment_id
            AND held.segment_id = {one.segment_id}
    ))"""


def _norms(active: Sequence[Definition], batch: Batch) -> Mapping[int, NormsValues | date]:
    """Return the norms of the day by course, of several courses the day. Empty if not needed."""
    names = norms_needed_by(active)
    if not names:
        return {}
    if len(batch.parts) > 1:
        return batch.days
    (part,) = batch.parts
    pk = part.course.id
    return {pk: part.norms or ensure_norms(pk, batch.days[pk], names, now=batch.as_of)}


def norms_needed_by(active: Sequence[Definition]) -> tuple[str, ...]:
    """Return the names of the course's norms that the rules need."""
    return norms_of({need for one in active for need in one.rules.needs()})


def quoted(name: str) -> str:
    """Return the column's name as SQL."""
    return connection.ops.quote_name(name)
