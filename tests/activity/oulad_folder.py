"""A small OULAD folder with every special case of the real files, and its import."""

import csv
import gzip
import io
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.parquet

from activity.importing.oulad import ImportOptions, import_runs

NOW = datetime(2026, 1, 1, tzinfo=UTC)
PERSON = {
    "gender": "F",
    "region": "Wales",
    "highest_education": "HE Qualification",
    "imd_band": "20-30%",
    "age_band": "0-35",
    "num_of_prev_attempts": 0,
    "studied_credits": 60,
    "disability": "N",
    "final_result": "Fail",
}
AAA = {"code_module": "AAA", "code_presentation": "2013J"}
BBB = {"code_module": "BBB", "code_presentation": "2014B"}

# Ana has all ordinary data. Each of the others is a special case.
ANA, BANKED, EARLY_LEAVER, NO_DATES, MISSING = 1, 2, 3, 4, 5
SMALL = {
    "courses": [
        AAA | {"module_presentation_length": 200},
        BBB | {"module_presentation_length": 100},
    ],
    "assessments": [
        AAA | {"id_assessment": 11, "assessment_type": "TMA", "date": 20},
        AAA | {"id_assessment": 13, "assessment_type": "TMA", "date": 40},
        AAA | {"id_assessment": 12, "assessment_type": "CMA", "date": 40},
        AAA | {"id_assessment": 14, "assessment_type": "Exam", "date": None},
        BBB | {"id_assessment": 21, "assessment_type": "CMA", "date": 10},
    ],
    "vle": [
        AAA | {"id_site": 101, "activity_type": "oucontent", "week_from": 3, "week_to": 4},
        AAA | {"id_site": 102, "activity_type": "url", "week_from": None},
        AAA | {"id_site": 103, "activity_type": "forumng", "week_from": 1},
        AAA | {"id_site": 104, "activity_type": "glossary", "week_from": 6},
        BBB | {"id_site": 201, "activity_type": "quiz", "week_from": None},
    ],
    "studentInfo": [
        AAA | PERSON | {"id_student": ANA, "imd_band": "10-20", "final_result": "Pass"},
        AAA | PERSON | {"id_student": BANKED},
        AAA | PERSON | {"id_student": EARLY_LEAVER, "final_result": "Withdrawn"},
        AAA | PERSON | {"id_student": NO_DATES, "imd_band": None, "final_result": "Withdrawn"},
        AAA | PERSON | {"id_student": MISSING, "final_result": "Distinction"},
        BBB | PERSON | {"id_student": ANA, "num_of_prev_attempts": 2},
    ],
    "studentRegistration": [
        AAA | {"id_student": ANA, "date_registration": -30},
        AAA | {"id_student": BANKED, "date_registration": 40},
        AAA | {"id_student": EARLY_LEAVER, "date_registration": 5, "date_unregistration": -10},
        AAA | {"id_student": NO_DATES, "date_registration": None},
        AAA | {"id_student": MISSING, "date_registration": "NA", "date_unregistration": "NA"},
        BBB | {"id_student": ANA, "date_registration": 0},
    ],
    "studentAssessment": [
        {"id_assessment": 11, "id_student": ANA, "date_submitted": 18, "score": 39},
        {"id_assessment": 12, "id_student": ANA, "date_submitted": 30, "score": 40},
        {"id_assessment": 14, "id_student": ANA, "date_submitted": 190, "score": 77},
        {"id_assessment": 11, "id_student": BANKED, "date_submitted": -1, "is_banked": 1},
        {"id_assessment": 12, "id_student": MISSING, "date_submitted": 35, "score": None},
        {"id_assessment": 21, "id_student": ANA, "date_submitted": 5, "score": 100},
    ],
}
CLICKS = {
    "AAA_2013J": [
        # The same row twice and another row once: nine clicks on that day.
        {"id_student": ANA, "id_site": 101, "date": 0, "sum_click": 4},
        {"id_student": ANA, "id_site": 101, "date": 0, "sum_click": 4},
        {"id_student": ANA, "id_site": 101, "date": 0, "sum_click": 1},
        {"id_student": ANA, "id_site": 101, "date": 30, "sum_click": 2},
        {"id_student": ANA, "id_site": 102, "date": -3, "sum_click": 5},
        {"id_student": EARLY_LEAVER, "id_site": 103, "date": 50, "sum_click": 1},
    ],
    "BBB_2014B": [{"id_student": ANA, "id_site": 201, "date": 0, "sum_click": 3}],
}
EMPTY = {"is_banked": 0, "week_to": None, "date_unregistration": None}


def write_table(path, rows):
    text = io.StringIO()
    columns = list(dict.fromkeys(name for row in rows for name in row))
    known = {name: value for name, value in EMPTY.items() if name not in columns}
    writer = csv.DictWriter(text, [*columns, *known], restval=None)
    writer.writeheader()
    writer.writerows(known | {name: EMPTY.get(name) for name in columns} | row for row in rows)
    path.write_bytes(gzip.compress(text.getvalue().encode()))


def write_folder(path):
    """Write a folder in which AAA_2013J has its own file of clicks and BBB_2014B has none."""
    for name, rows in SMALL.items():
        write_table(path / f"{name}.csv.gz", rows)
    (path / "studentVle").mkdir()
    rows = [AAA | row for row in CLICKS["AAA_2013J"]]
    write_table(path / "studentVle" / "AAA_2013J.csv.gz", rows)
    shared = [AAA | {"id_student": 9, "id_site": 9, "date": 9, "sum_click": 9}]
    shared += [BBB | row for row in CLICKS["BBB_2014B"]]
    pyarrow.parquet.write_table(pa.Table.from_pylist(shared), path / "studentVle.parquet")
    return path


def run_import(folder, *runs, **options):
    """Import the runs. The default is AAA_2013J."""
    chosen = ImportOptions(NOW, **options)
    return list(import_runs(folder, runs=runs or ("AAA_2013J",), options=chosen))
