"""The dataset's calendar: day 0 is a Saturday, and an impossible day is refused."""

from collections import Counter
from datetime import timedelta

import pytest

from activity.importing.oulad import OuladError, known_runs
from activity.importing.oulad.course import DAY_0, day_0_of
from activity.importing.oulad.files import of_run, open_folder
from activity.models import Course
from tests.activity.oulad_folder import AAA, CLICKS, SMALL, run_import, write_folder, write_table

SATURDAY, THURSDAY = 5, 3


@pytest.fixture
def folder(tmp_path):
    return write_folder(tmp_path)


def test_first_days_are_the_first_saturdays_of_their_months():
    for day in DAY_0.values():
        assert (day.weekday(), day.day <= 7) == (SATURDAY, True)


def test_most_common_due_day_is_a_thursday_in_all_four_presentations(shared_data):
    path = shared_data / "oulad"
    runs = known_runs(path)
    folder = open_folder(path, runs)
    due: dict[str, Counter[int]] = {}
    for run in runs:
        for row in of_run(folder.tables["assessments"], run).to_pylist():
            if row["date"] is not None:
                day = day_0_of(run) + timedelta(days=row["date"])
                due.setdefault(run.split("_")[1], Counter())[day.weekday()] += 1
    commonest = {name: counted.most_common(1)[0][0] for name, counted in due.items()}
    assert commonest == dict.fromkeys(DAY_0, THURSDAY)


DAYS = [
    ("courses", "module_presentation_length"),
    ("assessments", "date"),
    ("vle", "week_from"),
    ("studentRegistration", "date_registration"),
    ("studentRegistration", "date_unregistration"),
    ("studentAssessment", "date_submitted"),
]


@pytest.mark.django_db
@pytest.mark.parametrize("day", [99_999_999, -99_999_999])
@pytest.mark.parametrize(("table", "column"), DAYS)
def test_impossible_day_is_refused_with_file_and_column(folder, table, column, day):
    rows = [dict(row) for row in SMALL[table]]
    rows[0][column] = day
    write_table(folder / f"{table}.csv.gz", rows)
    with pytest.raises(
        OuladError, match=rf"{table}\.csv\.gz has the {column} {day}, which is not a"
    ):
        run_import(folder)
    assert not Course.objects.exists()


@pytest.mark.django_db
def test_click_on_an_impossible_day_is_refused(folder):
    rows = [AAA | row for row in CLICKS["AAA_2013J"]]
    write_table(folder / "studentVle" / "AAA_2013J.csv.gz", [*rows, rows[0] | {"date": 99_999_999}])
    with pytest.raises(OuladError, match="has the date 99999999, which is not a day of a course"):
        run_import(folder)
