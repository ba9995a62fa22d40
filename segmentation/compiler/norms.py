"""The SQL of a course's norms on a day, from what had occurred when that day began there."""

# Every value is bound; what is put into the text are constants of this package.
# ruff: noqa: S608

from datetime import date
from typing import Any

from segmentation.compiler.sql import Params, midnight


def compile_norms(course_id: int, day: date) -> tuple[str, dict[str, Any]]:
    """Return a SELECT of one row, and its parameters: module ids, their medians, the sorted paces.

    Later events do not change it: firsts before the day began stay the firsts.
    """
    params = Params()
    begins_at = midnight(params.bind(day, "date"), "c.time_zone")
    sql = f"""
    WITH course AS MATERIALIZED (
        SELECT c.id, {begins_at} AS begins_at
        FROM activity_course c WHERE c.id = {params.bind(course_id, "bigint")}
    ),
    module AS MATERIALIZED (
        SELECT i.id FROM activity_item i JOIN course c ON c.id = i.course_id
        WHERE i.kind = 'module'
    ),
    completion AS MATERIALIZED (
        SELECT p.enrollment_id, p.item_id, greatest(
            extract(epoch FROM p.first_completed_at - p.first_touched_at)::float8, 3600
        ) AS seconds
        FROM activity_enrollment e JOIN course c ON c.id = e.course_id
        JOIN activity_progress p ON p.enrollment_id = e.id
        JOIN module ON module.id = p.item_id
        WHERE p.first_completed_at < c.begins_at
    ),
    median AS (
        SELECT item_id, percentile_cont(0.5) WITHIN GROUP (ORDER BY seconds) AS seconds
        FROM completion GROUP BY item_id
    ),
    pace AS (
        SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY n.seconds / median.seconds) AS pace
        FROM completion n JOIN median USING (item_id) GROUP BY n.enrollment_id
    )
    SELECT
        (SELECT array_agg(item_id ORDER BY item_id) FROM median) AS module_ids,
        (SELECT array_agg(seconds ORDER BY item_id) FROM median) AS medians,
        (SELECT array_agg(pace ORDER BY pace) FROM pace) AS paces"""
    return sql, params.values
