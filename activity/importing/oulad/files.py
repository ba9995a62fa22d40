"""Read the files of the dataset into Arrow tables. Uses no database."""

import gzip
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, reduce
from operator import or_
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet

# Days count from a run's first day and weeks from its first week. A larger number is not a day of a
# course, and far larger ones are outside the calendar.
_LONGEST = 10_000
_DAYS = frozenset(
    {
        "date",
        "date_registration",
        "date_unregistration",
        "date_submitted",
        "week_from",
        "module_presentation_length",
    }
)
_NUMBER = pa.int32()
_TEXT = pa.string()
_RUN = {"code_module": _TEXT, "code_presentation": _TEXT}
_CLICKS = {"id_student": _NUMBER, "id_site": _NUMBER, "date": _NUMBER, "sum_click": _NUMBER}
_TABLES = {
    "courses": _RUN | {"module_presentation_length": _NUMBER},
    "assessments": _RUN | {"id_assessment": _NUMBER, "assessment_type": _TEXT, "date": _NUMBER},
    "vle": _RUN | {"id_site": _NUMBER, "activity_type": _TEXT, "week_from": _NUMBER},
    "studentInfo": _RUN
    | {"id_student": _NUMBER}
    | dict.fromkeys(("gender", "region", "highest_education", "imd_band", "age_band"), _TEXT)
    | {"num_of_prev_attempts": _NUMBER, "studied_credits": _NUMBER}
    | {"disability": _TEXT, "final_result": _TEXT},
    "studentRegistration": _RUN
    | {"id_student": _NUMBER, "date_registration": _NUMBER, "date_unregistration": _NUMBER},
    "studentAssessment": {
        "id_assessment": _NUMBER,
        "id_student": _NUMBER,
        "date_submitted": _NUMBER,
        "is_banked": _NUMBER,
        "score": pa.float64(),
    },
}


class OuladError(Exception):
    """The dataset cannot be imported. The message is one sentence that says what is wrong."""


@dataclass(frozen=True)
class OuladFolder:
    """The tables of the dataset. Small tables are read once; clicks are read run by run.

    `wanted` are the runs that will be imported. The parquet file is read once, and only the rows of
    these runs are kept.
    """

    path: Path
    tables: dict[str, pa.Table]
    wanted: Sequence[str]

    def clicks(self, run: str) -> pa.Table:
        """Return one row per id_student, id_site and date, with sum_click. Raise OuladError."""
        own = self._own_file(run)
        rows = _read_csv(own, _CLICKS) if own.is_file() else of_run(self._shared_clicks, run)
        keys = ["id_student", "id_site", "date"]
        # Several rows of one key are separate clicks, so they are summed.
        summed = rows.group_by(keys).aggregate([("sum_click", "sum")])
        return summed.select([*keys, "sum_click_sum"]).rename_columns([*keys, "sum_click"])

    def clicks_file(self, run: str) -> Path:
        """Return the file from which the clicks of the run are read."""
        own = self._own_file(run)
        return own if own.is_file() else self.path / "studentVle.parquet"

    def _own_file(self, run: str) -> Path:
        return self.path / "studentVle" / f"{run}.csv.gz"

    @cached_property
    def _shared_clicks(self) -> pa.Table:
        runs = [run for run in self.wanted if not self._own_file(run).is_file()]
        return _read_parquet(self.path / "studentVle.parquet", runs)


def open_folder(path: Path, wanted: Sequence[str]) -> OuladFolder:
    """Return the folder with its small tables read. Raise OuladError that names a faulty file."""
    tables = {
        name: _read_csv(path / f"{name}.csv.gz", columns) for name, columns in _TABLES.items()
    }
    return OuladFolder(path, tables, wanted)


def read_runs(path: Path) -> list[str]:
    """Return the sorted names of the runs in the folder. Raise OuladError."""
    courses = _read_csv(path / "courses.csv.gz", _TABLES["courses"]).to_pylist()
    return sorted(f"{row['code_module']}_{row['code_presentation']}" for row in courses)


def read_roster_sizes(path: Path) -> dict[str, int]:
    """Return how many students each run of the folder has. Raise OuladError."""
    info = _read_csv(path / "studentInfo.csv.gz", _TABLES["studentInfo"])
    counted = info.group_by(list(_RUN)).aggregate([([], "count_all")]).to_pylist()
    return {f"{row['code_module']}_{row['code_presentation']}": row["count_all"] for row in counted}


def of_run(table: pa.Table, run: str) -> pa.Table:
    """Return the rows of one run."""
    return table.filter(_is_run(run))


def _is_run(run: str) -> Any:
    module, presentation = run.split("_")
    return (pc.field("code_module") == module) & (pc.field("code_presentation") == presentation)


def _read_csv(path: Path, columns: dict[str, Any]) -> pa.Table:
    options = pyarrow.csv.ConvertOptions(
        column_types=columns,
        include_columns=list(columns),
        null_values=["", "NA"],
        strings_can_be_null=True,
    )
    content = pa.BufferReader(_unpacked(path))
    try:
        table = pyarrow.csv.read_csv(content, convert_options=options)
    except pa.ArrowException as error:
        raise OuladError(f"{path} cannot be read as a table: {_first_line(error)}") from None
    return _checked(table, path)


def _checked(table: pa.Table, path: Path) -> pa.Table:
    for name in _DAYS.intersection(table.column_names):
        for bound in pc.min_max(table[name]).as_py().values():
            if bound is not None and abs(bound) > _LONGEST:
                raise OuladError(f"{path} has the {name} {bound}, which is not a day of a course.")
    return table


def _unpacked(path: Path) -> bytes:
    # Arrow can unpack too, but it does not notice a truncated file.
    try:
        with gzip.open(path) as file:
            return file.read()
    except FileNotFoundError:
        raise OuladError(f"{path} is missing.") from None
    except (EOFError, zlib.error, gzip.BadGzipFile):
        raise OuladError(f"{path} is truncated or damaged: it cannot be unpacked.") from None
    except OSError as error:
        raise OuladError(f"{path} cannot be read: {error.strerror}.") from None


def _read_parquet(path: Path, runs: Sequence[str]) -> pa.Table:
    try:
        table = pyarrow.parquet.read_table(
            path,
            columns=[*_RUN, *_CLICKS],
            filters=reduce(or_, map(_is_run, runs)),
            # Ten million rows name 22 runs. As dictionary codes they take a tenth of the memory.
            read_dictionary=list(_RUN),
        )
        return _checked(table, path)
    except FileNotFoundError:
        raise OuladError(f"{path} is missing.") from None
    except (pa.ArrowException, OSError) as error:
        raise OuladError(f"{path} is truncated or damaged: {_first_line(error)}") from None


def _first_line(error: Exception) -> str:
    return f"{str(error).strip().splitlines()[0].rstrip('.')}."
