"""A course's norms on one day: the usual values with which learners are compared. Pure."""

# Every value is bound; only constants of this module are put into the text.
# ruff: noqa: S608

from bisect import bisect_left, bisect_right
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import date
from typing import Any

from activity.local_time import local_midnight_of as midnight
from segmentation.sql import Params, median_of, microseconds, module_seconds, rounded_pace

# The needs of signals that read norms, as in segmentation/signals/needs.py. That cannot be imported
# here, because the signals use the norms.
USUAL, FIFTHS = "norms", "scores"


def _by_item(stored: Any) -> dict[int, float]:
    return {int(item_id): float(value) for item_id, value in stored.items()}


def _floats(stored: Any) -> list[float]:
    return [float(value) for value in stored]


def _cuts(value: str) -> str:
    """Return SQL for the cuts between the fifths of the learners by their values, as jsonb.

    The q-th cut is the smallest value that is not below q fifths of all of them. Whole numbers
    decide its place: a share such as 0.6 is no exact float.
    """
    places = ", ".join(f"x.sorted[({q} * cardinality(x.sorted) + 4) / 5]" for q in range(1, 5))
    return (
        f"SELECT jsonb_build_array({places})"
        f" FROM (SELECT array_agg({value} ORDER BY {value}) AS sorted FROM lived) x"
        " WHERE cardinality(x.sorted) > 0"
    )


@dataclass(frozen=True)
class NormsValues:
    """The usual values when the day began. To add a norm, add a field.

    Only those that a rule needs are computed. The others have their defaults.

    `module_medians` are seconds from first touch to completion. `paces` are relative and sorted.
    `completed_items` are the activities that somebody had completed. `recency_cuts` and
    `frequency_cuts` divide the learners with any act into fifths, by the last act in microseconds
    of the epoch and by the number of acts. They are empty without such a learner.

    The SQL of a field uses the tables of `compile_norms` and gives jsonb, or null if there is no
    value. `read` converts the JSON to the value of the field.
    """

    module_medians: Mapping[int, float] = field(
        default_factory=dict,
        metadata={
            "need": USUAL,
            "sql": "SELECT jsonb_object_agg(item_id, seconds) FROM median",
            "read": _by_item,
        },
    )
    paces: Sequence[float] = field(
        default_factory=list,
        metadata={
            "need": USUAL,
            "sql": "SELECT jsonb_agg(pace ORDER BY pace) FROM pace",
            "read": _floats,
        },
    )
    completed_items: list[int] = field(
        default_factory=list,
        metadata={
            "need": USUAL,
            "sql": "SELECT jsonb_agg(i.id ORDER BY i.id) FROM item i"
            " WHERE NOT i.is_module AND i.id IN (SELECT item_id FROM completed)",
            "read": list,
        },
    )
    recency_cuts: list[int] = field(
        default_factory=list,
        metadata={"need": FIFTHS, "sql": _cuts("last_act"), "read": list},
    )
    frequency_cuts: list[int] = field(
        default_factory=list,
        metadata={"need": FIFTHS, "sql": _cuts("acts"), "read": list},
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


def norms_of(needs: Collection[str]) -> tuple[str, ...]:
    """Return the names of the norms that signals with these needs read."""
    return tuple(norm.name for norm in fields(NormsValues) if norm.metadata["need"] in needs)


def read_norms(stored: Mapping[str, Any], names: Collection[str]) -> NormsValues | None:
    """Return the named norms in the JSON, or None if one is missing."""
    if not all(name in stored for name in names):
        return None
    asked = [norm for norm in fields(NormsValues) if norm.name in names]
    known = [norm for norm in asked if stored[norm.name] is not None]
    return NormsValues(**{norm.name: norm.metadata["read"](stored[norm.name]) for norm in known})


def compile_norms(course_id: int, day: date, names: Collection[str]) -> tuple[str, dict[str, Any]]:
    """Return a SELECT of one value, the JSON of the named norms, and its parameters.

    Later events do not change the result, because it uses only first touches, first completions and
    whole days from before the day.
    """
    params = Params()
    begins_at = midnight(params.bind(day, "date"), "c.time_zone")
    asked = [norm for norm in fields(NormsValues) if norm.name in names]
    norms = ", ".join(f"'{norm.name}', ({norm.metadata['sql']})" for norm in asked)
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
    pace AS (SELECT {rounded_pace(median_of("relative"))} AS pace FROM times),
    lived AS (
        SELECT {microseconds("max(a.last_act_at)")} AS last_act, sum(a.acts) AS acts
        FROM activity_enrollment e JOIN course c ON c.id = e.course_id
        JOIN activity_dailyactivity a ON a.enrollment_id = e.id
            AND a.day < {params.bind(day, "date")} AND a.acts > 0
        GROUP BY e.id
    )
    SELECT jsonb_build_object({norms})"""
    return sql, params.values
