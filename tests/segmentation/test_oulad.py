"""The five segments on real courses: SQL, plain Python on the export, and an independent oracle.

The oracle (oracle_oulad.py) reads the raw files with pandas and is written from the definitions
alone. So the test checks the importer, the read models, the signals and the rules together.

AAA_2013J is an example of runs without quizzes, GGG_2014J of runs whose quizzes are due at the
end, and CCC_2014B of large runs with quizzes on many days, where all five segments have members.
"""

import csv
import json
from datetime import datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from django.core.management import call_command

import segmentation
from activity.models import Course
from segmentation.queries import preview
from segmentation.rules import conditions, evaluate, parse
from tests.long import longer
from tests.segmentation.oracle_oulad import five_segments, in_scope

pytestmark = [pytest.mark.slow, pytest.mark.django_db]

RUNS = ("AAA_2013J", "GGG_2014J", "CCC_2014B")
# A day on which CCC_2014B has members of all five segments, and the others.
DAY, OTHER_DAYS = 30, (10, 60, 120)
CODES = {
    "active-progress": "AP",
    "video-only": "VO",
    "at-risk": "AR",
    "stalled": "SP",
    "veterans": "VC",
}
PLAYBOOK = Path(segmentation.__file__).parent / "playbooks" / "five-segments.json"
RULES = {
    CODES[segment["key"]]: parse(segment["rule"])
    for segment in json.loads(PLAYBOOK.read_text())["segments"]
}


@pytest.fixture(scope="module")
def data(shared_data):
    return shared_data / "oulad"


def imported(data, run, *, until):
    """Import a run up to a day."""
    call_command("import_oulad", data, "--runs", run, "--until-day", str(until), "--json")
    return Course.objects.get(key=run)


def end_of(course, day):
    last_second = datetime.combine(course.starts_on + timedelta(days=day), time(23, 59, 59))
    return last_second.replace(tzinfo=ZoneInfo(course.time_zone))


def read_in_sql(course, as_of):
    """Return the learners in each segment by the compiled rules."""
    return {code: set(preview(rule, course, as_of=as_of).learners) for code, rule in RULES.items()}


def read_in_python(rows):
    """Return the learners in each segment by plain Python on the exported signals."""
    return {
        code: {row["learner"] for row in rows if evaluate(rule, signals_of(rule, row)) is True}
        for code, rule in RULES.items()
    }


def exported(course, as_of, path):
    """Return the rows of the file that export_signals writes."""
    arguments = ("--course", course.key, "--as-of", as_of.isoformat(), "--out", str(path))
    call_command("export_signals", *arguments)
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def signals_of(rule, row):
    """Return the signals in the rule. An empty cell is unknown."""
    refs = {condition.ref for condition in conditions(rule)}
    cells = {ref.identity: row[ref.column] for ref in refs}
    return {identity: float(cell) if cell else None for identity, cell in cells.items()}


# Several days in one test: several processes would each import the run, which takes the longest.
@pytest.mark.parametrize(
    ("run", "days"),
    [
        (RUNS[0], (DAY,)),
        *longer(
            "test_sql_python_and_the_oracle_agree",
            *((run, (DAY,)) for run in RUNS[1:]),
            *((run, OTHER_DAYS) for run in RUNS),
        ),
    ],
)
def test_sql_python_and_the_oracle_agree(run, days, data, tmp_path):
    course = imported(data, run, until=days[-1])
    for day in days:
        as_of = end_of(course, day)
        expected = five_segments(data, course.key, day)
        rows = exported(course, as_of, tmp_path / "signals.csv")
        in_sql, in_python = read_in_sql(course, as_of), read_in_python(rows)

        assert {row["learner"] for row in rows} == in_scope(data, course.key, day), day
        assert set(expected) == set(RULES)
        for code in RULES:
            assert in_sql[code] == expected[code], (code, day)
            assert in_python[code] == expected[code], (code, day)


# The tests above show that the oracle equals the engine, so this holds for the engine too. A
# test that runs alone, or beside others on another process, says the same.
def test_no_segment_is_empty_on_the_day_of_the_quicker_test(data):
    segments = five_segments(data, "CCC_2014B", DAY)
    print(*(f"{key} {len(ids):5}" for key, ids in segments.items()))
    assert {key for key, ids in segments.items() if ids} == set(RULES)


def test_sizes_of_a_known_day_are_as_published(data):
    sizes = {key: len(ids) for key, ids in five_segments(data, "AAA_2013J", 30).items()}
    assert sizes == {"AP": 178, "VO": 0, "AR": 19, "SP": 54, "VC": 0}
    assert len(in_scope(data, "AAA_2013J", 30)) == 368
