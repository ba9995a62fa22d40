"""A course's norms on one day: the usual values with which learners are compared. Pure."""

# Every value is bound; only constants of this module are put into the text.
# ruff: noqa: S608

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import date
from typing import Any

from activity.local_time import local_midnight_of as midnight
from segmentation.sql import Params, median_of, module_seconds, rounded_pace


def _by_item(stored: Any) -> dict[int, float]:
    return {int(item_id): float(value) for item_id, value in stored.items()}


def _floats(stored: Any) -> list[float]:
    return [float(value) for value in stored]


@dataclass(frozen=True)
class NormsValues:
    """The usual values when the day began. To add a norm, add a field.

    `module_medians` are seconds from first touch to completion. `paces` are relative and sorted.
    `completed_items` are the activities that somebody had completed.

    The SQL of a field uses the tables of `compile_norms` and gives jsonb, or null if there is no
    value. `read` converts the JSON to the value of the field.
    """

    module_medians: Mapping[int, float] = field(
        default_factory=dict,
        metadata={
            "sql": "SELECT jsonb_object_agg(item_id, seconds) FROM median",
            "read": _by_item,
        },
    )
    paces: Sequence[float] = field(
        default_factory=list,
        metadata={"sql": "SELECT jsonb_agg(pace ORDER BY pace) FROM pace", "read": _floats},
    )
    completed_items: list[int] = field(
        default_factory=list,
        metadata={
            "sql": "SELECT jsonb_agg(i.id ORDER BY i.id) FROM item i"
            " WHERE NOT i.is_module AND i.id IN (SELECT item_id FROM completed)",
            "read": list,
        },
    )

    @property
    def has_ranks(self) -> bool:
        """Return whether a rank of paces has a meaning: at most half of the paces are equal.

        If the first touch of each module completes it, all learners have the same pace, and a rank
        would put a whole course into the fastest quarter.
        """
        if not self.paces:
            return False
        # A value that fills more than half of a sorted list is also in its middle.
        middle = self.paces[len(self.paces) // 2]
        equal = bisect_right(self.paces, middle) - bisect_left(self.paces, middle)
        return 2 * equal <= len(self.paces)

    def to_json(self) -> dict[str, Any]:
        """Return the norms by name, as `read_norms` reads them."""
        return {norm.name: getattr(self, norm.name) for norm in fields(self)}


NORMS = tuple(norm.name for norm in fields(NormsValues))


def read_norms(stored: Mapping[str, Any]) -> NormsValues | None:
    """Return the norms in the JSON, or None if one is missing, as in rows of an older release."""
    if not all(name in stored for name in NORMS):
        return None
    known = [norm for norm in fields(NormsValues) if stored[norm.name] is not None]
    return NormsValues(**{norm.name: norm.metadata["read"](stored[norm.name]) for norm in known})


def compile_norms(course_id: int, day: date) -> tuple[str, dict[str, Any]]:
    """Return a SELECT of one value, the JSON of the norms by name, and its parameters.

    Later events do not change the result, because it uses only first touches and first completions
    from before the day.
    """
    params = Params()
    begins_at = midnight(params.bind(day, "date"), "c.time_zone")
    norms = ", ".join(f"'{norm.name}', ({norm.metadata['sql']})" for norm in fields(NormsValues))
    sql = f"""
    WITH course AS MATERIALIZED (
        SELECT c.id, {begins_at} AS begins_at
        FROM activity_course c WHERE c.id = {params.bind(course_id, "bigint")}
    ),
    item AS MATERIALIZED (
        SELECT i.id, i.kind = 'module' AS is_module
        FROM activity_item i JOIN course c ON c.id = i.course_id
        WHERE i.kind = 'module' OR coalesce(i.due_on, i.assigned_on) IS NOT NULL
    ),
    completed AS MATERIALIZED (
        SELECT p.enrollment_id, p.item_id, {module_seconds("p")} AS seconds
        FROM activity_enrollment e JOIN course c ON c.id = e.course_id
        JOIN activity_progress p ON p.enrollment_id = e.id
            AND p.item_id = ANY(ARRAY(SELECT id FROM item))
        WHERE p.first_completed_at < c.begins_at
    ),
    completion AS MATERIALIZED (
        SELECT n.* FROM completed n JOIN item i ON i.id = n.item_id WHERE i.is_module
    ),
    median AS (
        SELECT item_id, percentile_cont(0.5) WITHIN GROUP (ORDER BY seconds) AS seconds
        FROM completion GROUP BY item_id
    ),
    times AS (
        SELECT array_agg(n.seconds / median.seconds ORDER BY n.seconds / median.seconds) AS relative
        FROM completion n JOIN median USING (item_id) GROUP BY n.enrollment_id
    ),
    pace AS (SELECT {rounded_pace(median_of("relative"))} AS pace FROM times)
    SELECT jsonb_build_object({norms})"""
    return sql, params.values
