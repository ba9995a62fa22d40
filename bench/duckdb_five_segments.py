"""The rival of the evaluation benchmark: DuckDB computes the five default segments of all runs.

It is one statement over the raw OULAD files that keeps nothing between calls. All runs have the
same day 0. The statement is written for these five rules only and uses every shortcut that gives
exact sets; comments explain them. `python -m bench.duckdb_five_segments FOLDER` prints its time.
"""

import argparse
import csv
import gzip
from datetime import date, datetime, timedelta
from pathlib import Path
from time import perf_counter
from zoneinfo import ZoneInfo

import duckdb
import numpy as np

SEGMENTS = ("AP", "VO", "AR", "SP", "VC")
DAY_0 = date(2013, 10, 5)
ZONE = ZoneInfo("Europe/London")

# The columns have explicit types, because detecting them takes as long as reading the rows.
RUN = {"module": "VARCHAR", "presentation": "VARCHAR"}
TRAITS = dict.fromkeys(["gender", "region", "education", "imd_band", "age_band"], "VARCHAR")
COLUMNS = {
    "courses": RUN | {"ends_on": "INT"},
    "assessments": RUN | {"unit": "INT", "type": "VARCHAR", "due_on": "INT", "weight": "FLOAT"},
    "vle": {"site": "INT"} | RUN | {"type": "VARCHAR", "week_from": "INT", "week_to": "INT"},
    "studentRegistration": RUN | {"student": "INT", "registered_on": "INT", "withdrew_on": "INT"},
    "studentInfo": RUN
    | {"student": "INT"}
    | TRAITS
    | {"attempts": "INT", "credits": "INT", "disability": "VARCHAR", "result": "VARCHAR"},
    "studentAssessment": dict.fromkeys(["unit", "student", "day", "is_banked", "score"], "INT"),
}

# A completion is dated on the run's last day. Later no enrollment is in scope, so completions are
# needed only on that day.
COMPLETED = """
    SELECT run, student, true AS has_completed
    FROM {studentInfo} JOIN course USING (module, presentation)
    WHERE ends_on = {day} AND result IN ('Pass', 'Distinction')
"""
NOBODY = "SELECT 0 AS run, 0 AS student, true AS has_completed WHERE false"

STATEMENT = """
WITH course AS MATERIALIZED (
    SELECT row_number() OVER ()::INT AS run, module, presentation, ends_on FROM {courses}
),
completed AS ({completed}),
enrollment AS MATERIALIZED (
    SELECT run, student, coalesce(registered_on, 0) AS enrolled_on,
        greatest(enrolled_on, 0) AS started_on,
        started_on <= {day} AND {day} <= ends_on AND coalesce(withdrew_on > {day}, true)
            AND has_completed IS NULL AS in_scope
    FROM {studentRegistration} JOIN course USING (module, presentation)
    LEFT JOIN completed USING (run, student)
),
assessment AS MATERIALIZED (
    SELECT run, unit, type = 'CMA' AS is_quiz, due_on,
        -- Assigned from the day after the latest earlier due day, the same for units due together.
        due_on IS NOT NULL AND coalesce(1 + max(due_on) OVER (
            PARTITION BY run ORDER BY due_on NULLS LAST
            RANGE BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) <= {day} AS is_assigned
    FROM {assessments} JOIN course USING (module, presentation)
),
unit_site AS (
    SELECT site, arg_min(unit, (due_on, unit)) AS unit
    FROM {vle} JOIN course USING (module, presentation) JOIN assessment USING (run)
    WHERE due_on >= 7 * week_from GROUP BY site
),
-- The file has one row per student and assessment, so each submission is a first completion.
submission AS MATERIALIZED (
    SELECT run, student, unit, day, score, is_quiz, due_on
    FROM {studentAssessment} JOIN assessment USING (unit) WHERE is_banked = 0 AND day <= {day}
),
-- What somebody had submitted before the day: the rest is not owed.
known AS (SELECT DISTINCT unit, true AS is_known FROM submission WHERE day < {day}),
-- One bit for each of the last 14 days. Bit 0 is the day itself.
recent_clicks AS (
    SELECT code_module AS module, code_presentation AS presentation, id_student AS student,
        bit_or(1::INT << ({day} - date)) AS clicked
    FROM {studentVle} WHERE date BETWEEN {day} - 13 AND {day} GROUP BY ALL
),
unit_clicks AS (
    SELECT unit, id_student AS student, min(date) AS first_on, max(date) AS last_on
    FROM {studentVle} JOIN unit_site ON site = id_site WHERE date <= {day} GROUP BY ALL
),
touched AS (
    SELECT unit, student, min(touched_hour) AS first_hour, max(last_on) AS last_on,
        max(done_on) AS done_on, max(done_hour) AS done_hour
    FROM (
        SELECT unit, student, {clicked_hour} AS touched_hour, last_on, NULL AS done_on,
            NULL AS done_hour
        FROM unit_clicks
        UNION ALL
        SELECT unit, student, {submitted_hour} AS done_hour, day, day, done_hour
        FROM submission WHERE due_on IS NOT NULL
    ) GROUP BY ALL
),
progress AS MATERIALIZED (
    SELECT run, student, unit, is_quiz, is_assigned, due_on, last_on, done_on, is_known,
        CASE WHEN done_on IS NOT NULL THEN greatest(done_hour - first_hour, 1) END AS hours
    FROM touched JOIN assessment USING (unit) LEFT JOIN known USING (unit)
),
-- Only the rule of veterans needs paces, and a run in which nobody passed a quiz has no veterans.
norm AS (
    SELECT unit, median(hours) AS usual FROM progress WHERE done_on < {day}
        AND run IN (SELECT run FROM submission WHERE is_quiz AND score >= 40)
    GROUP BY unit
),
progress_by_learner AS MATERIALIZED (
    SELECT * EXCLUDE (paces, paces_before), {pace} AS pace, {pace_before} AS pace_before
    FROM (
        SELECT run, student,
            count(*) FILTER (done_on > {day} - 14) AS completed_14,
            count(*) FILTER (is_assigned AND due_on >= {day} - 14
                AND done_on IS NOT NULL) AS closed,
            count(*) FILTER (is_quiz AND is_assigned AND due_on <= {day} + 7
                AND last_on > {day} - 14) AS quizzes_14,
            count(*) FILTER (is_quiz AND is_assigned AND due_on <= {day} + 7
                AND done_on > {day} - 14) AS attempted_14,
            count(*) FILTER (done_on IS NOT NULL AND due_on BETWEEN {day} - 15 AND {day} - 2
                AND due_on >= enrolled_on AND is_known) AS paid,
            list_sort(list(hours / usual) FILTER (hours / usual > 0 AND done_on < {day}))
                AS paces_before,
            list_sort(list(hours / usual) FILTER (hours / usual > 0)) AS paces
        FROM progress JOIN enrollment USING (run, student) LEFT JOIN norm USING (unit)
        GROUP BY ALL
    )
),
-- For each pace when the day began: the number of lower paces and of equal paces. If more than half
-- of a run's paces are equal, no learner has a rank.
morning AS (
    SELECT run, pace_before AS pace, count(*) AS equal,
        sum(count(*)) OVER (PARTITION BY run ORDER BY pace_before) - count(*) AS below,
        sum(count(*)) OVER (PARTITION BY run) AS paces,
        max(count(*)) OVER (PARTITION BY run) AS most
    FROM progress_by_learner WHERE pace_before IS NOT NULL GROUP BY run, pace_before
),
ranked AS (
    SELECT run, student, (
        coalesce(tie.below, lower.below + lower.equal, 0)
        + (coalesce(tie.equal, 0) - (p.pace_before IS NOT DISTINCT FROM p.pace)::INT) / 2
    ) / size.paces AS rank
    FROM progress_by_learner AS p
    JOIN (SELECT DISTINCT run, paces FROM morning WHERE 2 * most <= paces) AS size USING (run)
    LEFT JOIN morning AS tie ON tie.run = p.run AND tie.pace = p.pace
    ASOF LEFT JOIN morning AS lower ON lower.run = p.run AND lower.pace < p.pace
    WHERE p.pace IS NOT NULL
),
submissions_by_learner AS (
    SELECT run, student,
        bit_or(CASE WHEN day > {day} - 14 THEN 1::INT << ({day} - day) END) AS submitted,
        count(*) FILTER (is_quiz AND score IS NOT NULL) AS scored,
        count(*) FILTER (is_quiz AND score >= 40) AS passed,
        count(*) FILTER (is_quiz AND score IS NOT NULL AND day > {day} - 14) AS scored_14,
        count(*) FILTER (is_quiz AND score >= 40 AND day > {day} - 14) AS passed_14
    FROM submission GROUP BY ALL
),
debt AS (
    SELECT run, student, count(*) AS owed
    FROM enrollment JOIN assessment USING (run) JOIN known USING (unit)
    WHERE due_on BETWEEN {day} - 15 AND {day} - 2 AND due_on >= enrolled_on GROUP BY ALL
),
open_units AS (
    SELECT run, count(*) FILTER (is_assigned AND due_on >= {day} - 14) AS assigned
    FROM assessment GROUP BY run
),
learner AS (
    SELECT *, coalesce(clicked, 0) | coalesce(submitted, 0) AS active
    FROM enrollment
    JOIN course USING (run)
    LEFT JOIN recent_clicks USING (module, presentation, student)
    LEFT JOIN submissions_by_learner USING (run, student)
    LEFT JOIN progress_by_learner USING (run, student)
    LEFT JOIN debt USING (run, student)
    LEFT JOIN open_units USING (run)
    LEFT JOIN ranked USING (run, student)
    WHERE in_scope
)
SELECT module || '_' || presentation AS run, student,
    bit_count(active & 127) >= 3 AND completed_14 >= 1 AS "AP",
    clicked IS NOT NULL AND attempted_14 / nullif(quizzes_14, 0) < 0.30 AS "VO",
    coalesce(paid, 0) / owed < 0.50 OR passed_14 / nullif(scored_14, 0) < 0.60 AS "AR",
    -- An act is always at 12:00 or 13:00, so it is 7 times 24 hours old when it is 7 dates old.
    assigned > coalesce(closed, 0) AND (active & 127) = 0
        AND {seconds_since_start} >= 7 * 86400 AS "SP",
    passed / nullif(scored, 0) >= 0.85 AND rank < 0.25 AND active <> 0 AS "VC"
FROM learner
"""


def five_segments(data: Path, day: int, threads: int = 2) -> dict[str, set[tuple[str, int]]]:
    """Return the pairs (run, student) in each segment at the end of the day, from `data`."""
    with duckdb.connect(config={"threads": threads}) as connection:
        rows = connection.execute(statement(data, day)).fetchnumpy()
    pairs = np.fromiter(zip(rows["run"], rows["student"].tolist(), strict=True), dtype=object)
    return {key: set(pairs[np.ma.filled(rows[key], fill_value=False)]) for key in SEGMENTS}


def statement(data: Path, day: int) -> str:
    """Return the SQL with one row per learner in scope and one column per segment."""
    files = {name: csv_rows(data, name) for name in COLUMNS}
    completed = COMPLETED.format(day=day, **files) if some_run_ends(data, day) else NOBODY
    changes = clock_changes(day)
    return STATEMENT.format(
        day=day,
        completed=completed,
        studentVle=f"'{data / 'studentVle.parquet'}'",
        clicked_hour=utc_hour("first_on", 12, changes),
        submitted_hour=utc_hour("day", 13, changes),
        pace_before=median_of("paces_before"),
        pace=median_of("paces"),
        seconds_since_start=seconds_since_midnight("started_on", day, changes),
        **files,
    )


def some_run_ends(data: Path, day: int) -> bool:
    with gzip.open(data / "courses.csv.gz", "rt") as rows:
        return any(int(row["module_presentation_length"]) == day for row in csv.DictReader(rows))


def csv_rows(data: Path, name: str) -> str:
    return (
        f"read_csv('{data / name}.csv.gz', columns={COLUMNS[name]}, "
        "header=true, auto_detect=false, nullstr=['', 'NA'])"
    )


def clock_changes(day: int) -> dict[int, int]:
    """Return the days of clock changes up to this day, with the hours by which clocks advance."""
    offsets = {d: utc_offset(d) for d in range(-60, day + 1)}
    steps = {d: offsets[d] - offsets[d - 1] for d in range(-59, day + 1)}
    return {d: step // timedelta(hours=1) for d, step in steps.items() if step}


def utc_offset(day: int) -> timedelta:
    noon = datetime(DAY_0.year, DAY_0.month, DAY_0.day, 12, tzinfo=ZONE) + timedelta(days=day)
    offset = noon.utcoffset()
    assert offset is not None
    return offset


def utc_hour(day: str, hour: int, changes: dict[int, int]) -> str:
    """Return SQL for the hours from a fixed instant to the hour on the day."""
    shifts = [f" - {step} * ({day} >= {change})::INT" for change, step in changes.items()]
    return f"(24 * {day} + {hour}{''.join(shifts)})"


def seconds_since_midnight(started_on: str, day: int, changes: dict[int, int]) -> str:
    """Return SQL for the seconds from the midnight at the start of a day to 23:59:59."""
    # Clocks change after midnight, so a change on the starting day is included.
    shifts = [f" - {step} * 3600 * ({started_on} <= {at})::INT" for at, step in changes.items()]
    return f"(({day} - {started_on}) * 86400 + 86399{''.join(shifts)})"


def median_of(paces: str) -> str:
    """Return SQL for the median of a sorted list, rounded to nine decimals as in the engine."""
    low, high = f"{paces}[(len({paces}) + 1) // 2]", f"{paces}[len({paces}) // 2 + 1]"
    return f"(round_even(({low} + 0.5 * ({high} - {low})) * 1e9, 0) / 1e9)"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--day", type=int, default=60)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    for _ in range(5):
        begun = perf_counter()
        sets = five_segments(options.folder, options.day, options.threads)
        sizes = ", ".join(f"{key} {len(members):,}" for key, members in sets.items())
        print(f"{perf_counter() - begun:.3f} s: {sizes}")


if __name__ == "__main__":
    main()
