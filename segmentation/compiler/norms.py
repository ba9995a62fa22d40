"""The SQL of a course's norms on a day, from what had occurred when that day began there."""

# Every value is bound; what is put into the text are constants of this package.
# ruff: noqa: S608

from datetime import date
from typing import Any

from activity.local_time import local_midnight_of as midnight
from segmentation.sql import Params, median_of, module_seconds, rounded_pace


def compile_norms(course_id: int, day: date) -> tuple[str, dict[str, Any]]:
    """Return a SELECT of one row, and its parameters: the fields of NormsValues.

    Module ids and their medians are two columns. What occurs later does not change the row: firsts
    before the day began stay the firsts.
    """
    params = Params()
    begins_at = midnight(params.bind(day, "date"), "c.time_zone")
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
    SELECT
        (SELECT array_agg(item_id ORDER BY item_id) FROM median) AS module_ids,
        (SELECT array_agg(seconds ORDER BY item_id) FROM median) AS medians,
        (SELECT array_agg(pace ORDER BY pace) FROM pace) AS paces,
        (SELECT array_agg(i.id ORDER BY i.id) FROM item i
            WHERE NOT i.is_module AND i.id IN (SELECT item_id FROM completed)) AS completed_items"""
    return sql, params.values
