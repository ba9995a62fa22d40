"""Copy the data of one run from the files into temporary tables, and check its consistency."""

import io
import json
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
from django.db import connection

from activity.importing.oulad.files import OuladError, OuladFolder, of_run

_COLUMNS = {
    "oulad_roster": "student int, registered_on int, withdrew_on int, has_completed bool,"
    " traits jsonb, enrollment_traits jsonb",
    "oulad_clicks": "student int, site int, day int, clicks int",
    "oulad_submissions": "assessment int, student int, day int, score numeric",
}
# The last three traits differ between two runs of a learner, so they belong to the enrollment.
# Otherwise the earlier run would have values from the future.
_OF_LEARNER = ("gender", "region", "highest_education", "imd_band", "disability")
_OF_ENROLLMENT = ("age_band", "num_of_prev_attempts", "studied_credits")
_COMPLETED = ("Pass", "Distinction")


def stage(folder: OuladFolder, run: str, *, until_day: int | None) -> None:
    """Fill new temporary tables with the run. Raise OuladError if the files are inconsistent.

    Call it in a transaction, because the tables are dropped when it ends.
    """
    roster = roster_of(folder, run)
    known = pa.array([row["id_student"] for row in roster], pa.int32())
    clicks = _until(folder.clicks(run), "date", until_day)
    sites = of_run(folder.tables["vle"], run)["id_site"]
    _check(clicks["id_student"], known, f"{folder.clicks_file(run)} has clicks of student")
    _check(clicks["id_site"], sites, f"{folder.clicks_file(run)} has clicks on site")
    submissions = _until(submissions_of(folder, run), "date_submitted", until_day)
    what = f"{folder.path / 'studentAssessment.csv.gz'} has a submission of student"
    _check(submissions["id_student"], known, what)
    _create()
    _copy_roster(roster)
    _copy("oulad_clicks", clicks)
    _copy("oulad_submissions", submissions)


def roster_of(folder: OuladFolder, run: str) -> list[dict[str, Any]]:
    """Return one row per student of the run: studentInfo with the days of registration."""
    info = of_run(folder.tables["studentInfo"], run)
    registrations = of_run(folder.tables["studentRegistration"], run)
    days = ["id_student", "date_registration", "date_unregistration"]
    joined = info.join(registrations.select(days), "id_student", join_type="left outer")
    rows: list[dict[str, Any]] = joined.sort_by("id_student").to_pylist()
    return rows


def submissions_of(folder: OuladFolder, run: str) -> pa.Table:
    """Return id_assessment, id_student, date_submitted and score of the submissions.

    Banked submissions are left out: they were carried over from an earlier run.
    """
    own = of_run(folder.tables["assessments"], run)["id_assessment"]
    handed_in = folder.tables["studentAssessment"].filter(
        pc.field("id_assessment").isin(own.combine_chunks()) & (pc.field("is_banked") == 0)
    )
    return handed_in.select(["id_assessment", "id_student", "date_submitted", "score"])


def traits_of_learner(row: dict[str, Any]) -> dict[str, str]:
    """Return the learner's traits from a row of studentInfo, without missing ones."""
    traits = {name: row[name] for name in _OF_LEARNER if row[name] is not None}
    # In the file, one of the ten bands lacks its percent sign: `10-20` means `10-20%`.
    if "imd_band" in traits:
        traits["imd_band"] = f"{traits['imd_band'].rstrip('%')}%"
    return traits


def traits_of_enrollment(row: dict[str, Any]) -> dict[str, str | int]:
    """Return the enrollment's traits from a row of studentInfo, without missing ones."""
    return {name: row[name] for name in _OF_ENROLLMENT if row[name] is not None}


def _until(table: pa.Table, column: str, until_day: int | None) -> pa.Table:
    return table if until_day is None else table.filter(pc.field(column) <= until_day)


def _check(values: pa.ChunkedArray, known: Any, what: str) -> None:
    distinct = pc.unique(values)
    unknown = distinct.filter(pc.invert(pc.is_in(distinct, value_set=known)))
    if len(unknown):
        raise OuladError(f"{what} {unknown[0]}, which is missing in the run's other files.")


def _create() -> None:
    with connection.cursor() as cursor:
        # Sorting and joining a million clicks takes more memory than the default setting.
        cursor.execute("SET LOCAL work_mem = '128MB'")
        cursor.execute("SET LOCAL jit = off")
        for name, columns in _COLUMNS.items():
            # Drop it first, because an outer transaction may import several runs.
            cursor.execute(f"DROP TABLE IF EXISTS pg_temp.{name}")
            cursor.execute(f"CREATE TEMP TABLE {name} ({columns}) ON COMMIT DROP")


def _copy_roster(roster: list[dict[str, Any]]) -> None:
    with connection.cursor() as cursor, cursor.copy("COPY pg_temp.oulad_roster FROM STDIN") as copy:
        for row in roster:
            copy.write_row(
                (
                    row["id_student"],
                    row["date_registration"],
                    row["date_unregistration"],
                    row["final_result"] in _COMPLETED,
                    json.dumps(traits_of_learner(row)),
                    json.dumps(traits_of_enrollment(row)),
                )
            )


def _copy(name: str, table: pa.Table) -> None:
    text = io.BytesIO()
    options = pyarrow.csv.WriteOptions(include_header=False)
    # As one chunk: a filter can leave empty chunks, and Arrow then writes zero bytes as rows.
    pyarrow.csv.write_csv(table.combine_chunks(), text, options)
    statement = f"COPY pg_temp.{name} FROM STDIN (FORMAT csv)"
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        copy.write(text.getbuffer())
