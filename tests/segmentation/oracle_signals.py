"""Every signal of an OULAD course run, computed with DuckDB from the raw files.

It is written only from the definitions in docs/rules.md and the mapping of the importer, as an
independent check of the engine. All is as of 23:59:59 of a day; days count from the run's day 0.
An event is a row of `event`: student, verb, kind and unit of its item, day, seconds (of the epoch),
n, score.
"""

from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import duckdb

from tests.segmentation.oracle_statements import OF_ALL_DAYS, PLAIN, WINDOWED

ZONE = ZoneInfo("Europe/London")
WINDOWS = (1, 7, 14, 30)
LAST = time(23, 59, 59)

Values = dict[int, float | None]

_TABLES = """
CREATE TABLE unit AS
SELECT id_assessment AS unit, assessment_type AS type, CAST(date AS INT) AS due, CAST(coalesce((
        SELECT max(b.date) + 1 FROM raw_assessments b
        WHERE b.code_module = a.code_module AND b.code_presentation = a.code_presentation
            AND b.date < a.date), 0) AS INT) AS assigned
FROM raw_assessments a
WHERE code_module = $module AND code_presentation = $presentation AND date IS NOT NULL;

CREATE TABLE site AS
SELECT id_site AS site,
    CASE WHEN activity_type IN ('resource', 'url', 'folder') THEN 'resource'
        WHEN activity_type IN ('oucontent', 'page', 'subpage', 'htmlactivity', 'quiz',
            'externalquiz', 'questionnaire', 'sharedsubpage', 'dualpane', 'homepage') THEN 'page'
        WHEN activity_type IN ('forumng', 'ouwiki', 'oucollaborate', 'ouelluminate')
            THEN 'discussion'
        ELSE 'other' END AS kind,
    (SELECT arg_min(u.unit, (u.due, u.unit)) FROM unit u
        WHERE u.due >= 7 * v.week_from) AS unit
FROM raw_vle v WHERE code_module = $module AND code_presentation = $presentation;

CREATE TABLE student AS
SELECT r.id_student AS student, CAST(coalesce(date_registration, 0) AS INT) AS enrolled,
    CAST(date_unregistration AS INT) AS withdrew,
    i.final_result IN ('Pass', 'Distinction') AS has_passed,
    i.num_of_prev_attempts AS attempts, i.region
FROM raw_registration r JOIN raw_info i USING (code_module, code_presentation, id_student)
WHERE code_module = $module AND code_presentation = $presentation;

CREATE TABLE event AS
SELECT id_student AS student, CASE WHEN kind = 'resource' THEN 'DOWNLOAD_RESOURCE'
        ELSE 'VIEW_ITEM' END AS verb, kind, unit, day, noon AS seconds, n, NULL::DOUBLE AS score
FROM (
    SELECT id_student, id_site AS site, date AS day, CAST(sum(sum_click) AS BIGINT) AS n
    FROM raw_clicks GROUP BY ALL
) JOIN site USING (site) JOIN clock USING (day)
UNION ALL
SELECT id_student, CASE WHEN a.assessment_type = 'CMA' THEN 'ATTEMPT_QUIZ'
        ELSE 'SUBMIT_ASSIGNMENT' END, CASE WHEN a.assessment_type = 'CMA' THEN 'quiz'
        ELSE 'assignment' END, u.unit, c.day, c.one, 1, s.score / 100
FROM raw_submissions s JOIN raw_assessments a USING (id_assessment)
LEFT JOIN unit u ON u.unit = id_assessment JOIN clock c ON c.day = s.date_submitted
WHERE a.code_module = $module AND a.code_presentation = $presentation AND s.is_banked = 0;
INSERT INTO event
SELECT student, 'COMPLETE_MODULE', 'module', unit, day, seconds, 1, NULL FROM event
WHERE verb IN ('ATTEMPT_QUIZ', 'SUBMIT_ASSIGNMENT') AND unit IS NOT NULL;
"""

# As of day D: who is in scope, what had happened, and what depends on no window.
_DAY = """
CREATE OR REPLACE TABLE scope AS
SELECT s.*, greatest(c.midnight, (SELECT midnight FROM clock WHERE day = 0)) AS began
FROM student s JOIN clock c ON c.day = s.enrolled
WHERE greatest(s.enrolled, 0) <= $day AND coalesce(s.withdrew > $day, true)
    AND $day <= $ends_on AND NOT ($day = $ends_on AND false);
CREATE OR REPLACE TABLE past AS SELECT * FROM event WHERE day <= $day;
CREATE OR REPLACE TABLE completion AS
SELECT student, unit, min(day) AS day, min(seconds) AS seconds FROM past
WHERE verb = 'COMPLETE_MODULE' GROUP BY ALL;
CREATE OR REPLACE TABLE touch AS
SELECT student, unit, min(seconds) AS first, max(day) AS last FROM past
WHERE unit IS NOT NULL GROUP BY ALL;
CREATE OR REPLACE TABLE done AS
SELECT student, unit, min(day) AS day FROM past
WHERE verb IN ('ATTEMPT_QUIZ', 'SUBMIT_ASSIGNMENT') AND unit IS NOT NULL GROUP BY ALL;
CREATE OR REPLACE TABLE spent AS
SELECT c.student, c.unit, c.day, greatest(c.seconds - t.first, 3600)::DOUBLE AS seconds
FROM completion c JOIN touch t USING (student, unit);
CREATE OR REPLACE TABLE norm AS
SELECT unit, quantile_cont(seconds, 0.5) AS usual FROM spent WHERE day < $day GROUP BY unit;
CREATE OR REPLACE TABLE pace AS
SELECT student, round(quantile_cont(seconds / usual, 0.5), 9) AS now,
    round(quantile_cont(seconds / usual, 0.5) FILTER (day < $day), 9) AS before
FROM spent JOIN norm USING (unit) GROUP BY student;
CREATE OR REPLACE TABLE active AS SELECT DISTINCT student, day FROM past;
"""

# A number of days that reaches back before the first event of any run.
EVER = 5_000


class RunOracle:
    """One run with its raw tables, from which the signals of any day are computed."""

    def __init__(self, data: Path, run: str, day_0: date) -> None:
        self.day_0 = day_0
        module, presentation = run.split("_")
        self.named = {"module": module, "presentation": presentation}
        self.sql = duckdb.connect()
        self._read(data, run)
        for statement in _TABLES.split(";"):
            self._run(statement, self.named)
        self.ends_on = self.sql.execute(
            "SELECT module_presentation_length FROM raw_courses"
            " WHERE code_module = $module AND code_presentation = $presentation",
            self.named,
        ).fetchall()[0][0]

    def signals(self, day: int) -> Iterator[tuple[str, int | None, Values]]:
        """Yield the name, window and values by student of every signal at the end of the day."""
        now = int(self._at(day, LAST).timestamp())
        for statement in _DAY.split(";"):
            self._run(statement, {"day": day, "ends_on": self.ends_on})
        students = [row[0] for row in self.sql.execute("SELECT student FROM scope").fetchall()]
        for name, (default, query) in PLAIN.items():
            yield name, None, self._values(query, default, students, {"day": day, "now": now})
        for name, (default, query) in WINDOWED.items():
            windows = (*WINDOWS, EVER) if name in OF_ALL_DAYS else WINDOWS
            for n in windows:
                found = self._values(query, default, students, {"day": day, "n": n})
                yield name, None if n == EVER else n, found

    def close(self) -> None:
        """Give back the memory of the tables."""
        self.sql.close()

    def first_unit(self) -> int:
        """Return the unit that a filter names."""
        (unit,) = self.sql.execute("SELECT min(unit) FROM unit").fetchall()[0]
        return int(unit)

    def _values(
        self, query: str, default: float | None, students: list[int], given: dict[str, int]
    ) -> Values:
        asked = {name: value for name, value in given.items() if f"${name}" in query}
        found = dict(self.sql.execute(query, asked).fetchall())
        return {student: found.get(student, default) for student in students}

    def _run(self, statement: str, given: dict[str, object]) -> None:
        if statement.strip():
            asked = {name: value for name, value in given.items() if f"${name}" in statement}
            self.sql.execute(statement, asked)

    def _at(self, day: int, clock: time) -> datetime:
        return datetime.combine(self.day_0 + timedelta(days=day), clock, ZONE)

    def _read(self, data: Path, run: str) -> None:
        files = {
            "assessments": "assessments", "vle": "vle", "registration": "studentRegistration",
            "info": "studentInfo", "submissions": "studentAssessment", "courses": "courses",
        }  # fmt: skip
        for name, file in files.items():
            self.sql.execute(
                f"CREATE TABLE raw_{name} AS SELECT * FROM"
                f" read_csv('{data / file}.csv.gz', header = true, nullstr = ['', 'NA', '?'])"
            )
        own = data / "studentVle" / f"{run}.csv.gz"
        clicks = f"read_csv('{own}', header = true)"
        if not own.exists():
            clicks = f"read_parquet('{data / 'studentVle.parquet'}')"
        where = "WHERE code_module = $module AND code_presentation = $presentation"
        asked = {} if own.exists() else self.named
        self.sql.execute(
            f"CREATE TABLE raw_clicks AS SELECT id_student, id_site, date, sum_click FROM {clicks}"
            f" {where if asked else ''}",
            asked,
        )
        self.sql.execute("CREATE TABLE clock (day INT, midnight BIGINT, noon BIGINT, one BIGINT)")
        clock = [
            [day, *(int(self._at(day, time(hour)).timestamp()) for hour in (0, 12, 13))]
            for day in range(-400, 400)
        ]
        self.sql.executemany("INSERT INTO clock VALUES (?, ?, ?, ?)", clock)
