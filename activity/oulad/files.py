"""Read the dataset's files into Arrow tables, or say in a sentence which file is at fault. Pure."""

import gzip
import io
import zlib
from pathlib import Path

import pyarrow as pa
from pyarrow import compute, csv, parquet

RUN_COLUMNS = {"code_module": pa.string(), "code_presentation": pa.string()}
# The columns that are read, with their types; every other column is passed over.
TABLES: dict[str, dict[str, pa.DataType]] = {
    "courses": {**RUN_COLUMNS, "module_presentation_length": pa.int32()},
    "assessments": {
        **RUN_COLUMNS,
        "id_assessment": pa.int32(),
        "assessment_type": pa.string(),
        "date": pa.int32(),
    },
    "vle": {
        **RUN_COLUMNS,
        "id_site": pa.int32(),
        "activity_type": pa.string(),
        "week_from": pa.int32(),
    },
    "studentInfo": {
        **RUN_COLUMNS,
        "id_student": pa.int32(),
        "gender": pa.string(),
        "region": pa.string(),
        "highest_education": pa.string(),
        "imd_band": pa.string(),
        "age_band": pa.string(),
        "num_of_prev_attempts": pa.int32(),
        "studied_credits": pa.int32(),
        "disability": pa.string(),
        "final_result": pa.string(),
    },
    "studentRegistration": {
        **RUN_COLUMNS,
        "id_student": pa.int32(),
        "date_registration": pa.int32(),
        "date_unregistration": pa.int32(),
    },
    "studentAssessment": {
        "id_assessment": pa.int32(),
        "id_student": pa.int32(),
        "date_submitted": pa.int32(),
        "is_banked": pa.int8(),
        "score": pa.float64(),
    },
}
CLICK_COLUMNS = {
    "id_student": pa.int32(),
    "id_site": pa.int32(),
    "date": pa.int32(),
    "sum_click": pa.int32(),
}
MISSING = ["", "NA", "?"]


class OuladError(Exception):
    """A file of the dataset is missing, damaged or not what it should be: the message says it."""


def read_table(folder: Path, name: str) -> pa.Table:
    """Return one of TABLES with null for what is missing. Raise OuladError naming the file."""
    return _read_csv(folder / f"{name}.csv.gz", TABLES[name])


def read_clicks(folder: Path, run: str) -> pa.Table:
    """Return the run's click groups, as CLICK_COLUMNS: its own file, else its part of the whole."""
    own = folder / "studentVle" / f"{run}.csv.gz"
    if own.exists():
        return _read_csv(own, CLICK_COLUMNS)
    module, presentation = run.split("_", 1)
    return _read_parquet(folder / "studentVle.parquet", module, presentation)


def of_run(table: pa.Table, run: str) -> pa.Table:
    """Return the rows of the run."""
    module, presentation = run.split("_", 1)
    return table.filter(
        compute.and_(
            compute.equal(table["code_module"], module),
            compute.equal(table["code_presentation"], presentation),
        )
    )


def _read_csv(path: Path, columns: dict[str, pa.DataType]) -> pa.Table:
    options = csv.ConvertOptions(
        column_types=columns,
        include_columns=list(columns),
        null_values=MISSING,
        strings_can_be_null=True,
    )
    try:
        # Python's gzip checks the length and the sum at the end: a cut-off file is never taken
        # for a short one.
        with gzip.open(path) as packed:
            return csv.read_csv(io.BytesIO(packed.read()), convert_options=options)
    except FileNotFoundError:
        raise OuladError(f"The file {path} is missing.") from None
    except (EOFError, gzip.BadGzipFile, zlib.error):
        raise OuladError(f"The file {path} is cut off or damaged: fetch it again.") from None
    except (pa.ArrowInvalid, KeyError) as error:
        raise OuladError(f"The file {path} is not as expected: {error}") from None


def _read_parquet(path: Path, module: str, presentation: str) -> pa.Table:
    rows = [("code_module", "=", module), ("code_presentation", "=", presentation)]
    try:
        return parquet.read_table(path, columns=list(CLICK_COLUMNS), filters=rows)
    except FileNotFoundError:
        raise OuladError(f"The file {path} is missing.") from None
    except (pa.ArrowInvalid, OSError) as error:
        raise OuladError(f"The file {path} is cut off or damaged: {error}") from None
