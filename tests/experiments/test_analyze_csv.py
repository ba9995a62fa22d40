import gzip
import json
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from hypothesis import given
from hypothesis import strategies as st

from experiments.terminal.columns import Columns, read_by_rows, read_columns
from experiments.terminal.tables import TableError, open_table

SMALL = "arm,done,minutes\ncontrol,0,1.5\ncontrol,1,2.5\nnudge,1,4\nnudge,1,NA\n"


@pytest.fixture
def small(tmp_path: Path) -> Path:
    return written(tmp_path, SMALL)


def written(folder: Path, text: str) -> Path:
    path = folder / "outcomes.csv"
    path.write_text(text, encoding="utf-8")
    return path


def analyze(path: Path, *args: str, arm: str = "arm", control: str = "control") -> dict[str, Any]:
    out = StringIO()
    call_command(
        "analyze_csv", path, "--arm", arm, "--control", control, *args, "--json", stdout=out
    )
    found: dict[str, Any] = json.loads(out.getvalue())
    return found


def by_arm(found: dict[str, Any], metric: str) -> dict[str, dict[str, Any]]:
    columns = {each["metric"]: each for each in found["metrics"]}
    return {each["arm"]: each for each in columns[metric]["comparisons"]}


def cells(text: str) -> list[list[str]]:
    return [line.split() for line in text.splitlines()]


def test_hillstrom_gives_the_published_numbers(shared_data: Path) -> None:
    # Kevin Hillstrom's e-mail test (2008), as data/README.md of the shared data lists it.
    found = analyze(
        shared_data / "rct" / "hillstrom.csv.gz",
        "--metric", "visit:binary", "--metric", "conversion", "--metric", "spend",
        arm="segment", control="No E-Mail",
    )  # fmt: skip

    assert found["arms"] == {"No E-Mail": 21306, "Mens E-Mail": 21307, "Womens E-Mail": 21387}
    visits = {each["arm"]: each["successes"] for each in found["metrics"][0]["arms"]}
    assert visits == {"No E-Mail": 2262, "Mens E-Mail": 3894, "Womens E-Mail": 3238}
    published = [
        ("visit", "Mens E-Mail", 0.07659, 22.486),
        ("conversion", "Mens E-Mail", 0.006805, 7.3851),
        ("spend", "Mens E-Mail", 0.76983, 5.3001),
        ("visit", "Womens E-Mail", 0.04523, 13.949),
        ("conversion", "Womens E-Mail", 0.003111, 3.7796),
        ("spend", "Womens E-Mail", 0.42441, 3.2564),
    ]
    for metric, arm, value, statistic in published:
        difference = by_arm(found, metric)[arm]["difference"]
        assert difference["value"] == pytest.approx(value, abs=5.1e-6)
        assert difference["statistic"] == pytest.approx(statistic, rel=5e-5)


def test_assistments_gives_the_published_numbers(shared_data: Path) -> None:
    # ASSISTments, video or text help: data/README.md of the shared data.
    found = analyze(
        shared_data / "rct" / "assistments_video_help.csv.gz",
        "--metric", "completion:mean", "--metric", "completion:binary",
        arm="video", control="FALSE",
    )  # fmt: skip

    mean, rate = (metric["comparisons"][0]["difference"] for metric in found["metrics"])
    assert mean["value"] == pytest.approx(0.05050514, abs=5e-9)
    assert (mean["low"], mean["high"]) == pytest.approx((-0.02359, 0.12460), abs=5e-6)
    assert mean["p_value"] == pytest.approx(0.1812, abs=5e-5)
    assert mean["df"] == pytest.approx(680.94, abs=5e-3)
    assert rate["method"] == "Miettinen-Nurminen score"
    counts = [(each["successes"], each["n"]) for each in found["metrics"][1]["arms"]]
    assert counts == [(193, 346), (205, 337)]


def test_the_kind_follows_from_the_values_if_it_is_not_given(small: Path) -> None:
    found = analyze(small, "--metric", "done", "--metric", "minutes")

    assert [metric["kind"] for metric in found["metrics"]] == ["binary", "mean"]


def test_rows_without_a_value_are_left_out_and_counted(small: Path) -> None:
    found = analyze(small, "--metric", "minutes")

    assert [each["left_out"] for each in found["metrics"][0]["arms"]] == [0, 1]
    assert [each["n"] for each in found["metrics"][0]["arms"]] == [2, 1]


def test_a_number_that_cannot_be_computed_is_null_with_a_reason(small: Path) -> None:
    difference = by_arm(analyze(small, "--metric", "minutes"), "minutes")["nudge"]["difference"]

    assert (difference["low"], difference["p_value"]) == (None, None)
    assert "only one learner" in difference["reason"]


def test_text_shows_the_verdict_and_the_numbers(small: Path) -> None:
    out = StringIO()
    call_command(
        "analyze_csv", small, "--arm=arm", "--control=control", "--metric=done",
        "--metric=minutes", stdout=out,
    )  # fmt: skip

    text = out.getvalue()
    assert "Rows by arm: control 2, nudge 2." in text
    assert ["control", "2", "1", "50.0%"] in cells(text)
    assert "100.0% done in nudge, against 50.0% in control. It is not known whether" in text
    assert "Rows left out because they have no value: nudge 1." in text
    assert ["control", "2", "2.00", "0.71"] in cells(text)
    assert "There are 2 comparisons." in text


def test_words_for_true_and_false_are_zero_and_one(tmp_path: Path) -> None:
    path = written(tmp_path, "arm,done\ncontrol,TRUE\ncontrol,false\nnudge,yes\nnudge,1.0\n")

    found = analyze(path, "--metric", "done:binary")
    assert [each["successes"] for each in found["metrics"][0]["arms"]] == [1, 2]


def test_a_column_name_may_contain_a_colon(tmp_path: Path) -> None:
    path = written(tmp_path, "arm,quiz:1\ncontrol,1\nnudge,0\n")

    assert analyze(path, "--metric", "quiz:1")["metrics"][0]["metric"] == "quiz:1"
    assert analyze(path, "--metric", "quiz:1:mean")["metrics"][0]["kind"] == "mean"


def test_a_higher_level_widens_the_interval(tmp_path: Path) -> None:
    path = written(tmp_path, SMALL + "control,0,1\nnudge,1,2\n" * 6)

    def width(level: str) -> float:
        found = analyze(path, "--metric", "done", "--level", level)
        difference = by_arm(found, "done")["nudge"]["difference"]
        return float(difference["high"] - difference["low"])

    assert width("0.99") > width("0.95") > width("0.5")


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        (
            ["--metric", "absent"],
            "There is no column 'absent'. The columns are: arm, done, minutes",
        ),
        (["--metric", "minutes:binary"], "Column 'minutes' holds 1.5. A binary metric must be"),
        (["--metric", "done:median"], "'median' is not a kind of metric"),
        (["--metric", "done:ratio"], "write the second column too, as in done:ratio=COLUMN"),
        (["--metric", "done:ratio=absent"], "There is no column 'absent'"),
        (["--metric", "done:time=minutes"], "Column 'minutes' holds 1.5. It must be 1 where"),
        (["--metric", "done", "--covariate", "absent"], "There is no column 'absent'"),
        (["--metric", "done", "--cluster", "absent"], "There is no column 'absent'"),
        (["--metric", "done", "--cluster", "done"], "1 of 2 sections have units in several arms"),
        (["--metric", "done", "--cap", "100"], "--cap must be a percentile between 0 and 100"),
        (["--metric", "done", "--cap", "99"], "no metric is a mean"),
        (["--metric", "done", "--weights", "control"], "'control' is not a weight"),
        (["--metric", "done", "--weights", "control=1,nudge=nan"], "must be 0 or a number above"),
        (["--metric", "done", "--weights", "control=1,nudge=-1"], "must be 0 or a number above"),
        (["--metric", "done", "--weights", "control=1"], "At least two arms need a weight"),
        (["--metric", "done", "--level", "95"], "--level must be between 0 and 1"),
        (["--metric", "done", "--level", "nan"], "--level must be between 0 and 1"),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value),
)
def test_a_wrong_option_is_refused_with_a_sentence(
    small: Path, args: list[str], sentence: str
) -> None:
    with pytest.raises(CommandError) as error:
        analyze(small, *args)

    assert sentence in str(error.value)


def test_an_unknown_control_is_refused_with_the_list_of_arms(small: Path) -> None:
    with pytest.raises(
        CommandError, match=r"No row has 'none' in column 'arm'. The column holds: c"
    ):
        analyze(small, "--metric", "done", control="none")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "is empty"),
        ("arm,done\n", "column holds: nothing"),
        ("arm,done\ncontrol,1\n", "holds only the control"),
        ("arm,done\ncontrol,1\nnudge\n", "Line 3 has 1 cells, but the header has 2"),
        ("arm,done\ncontrol,1\nnudge,many\n", "Line 3: 'many' in column 'done' is not a number"),
        ("arm,done\ncontrol,1\nnudge,inf\n", "Line 3: 'inf' in column 'done' is not a number"),
        ("arm,done\ncontrol,1\nnudge,1_000\n", "Line 3: '1_000' in column 'done' is not a number"),
        ("arm,done\ncontrol,1\nnudge,1e200\n", "Line 3: '1e200' in column 'done' is out of range"),
        ("arm,done\ncontrol,1\nnudge,-1e308\n", "Line 3: '-1e308' in column 'done' is out of"),
        ("arm,done\ncontrol,1\nnudge,1e-200\n", "Line 3: '1e-200' in column 'done' is out of"),
        ("arm,done\ncontrol,1\nnudge,\u0661\n", "Line 3: '\u0661' in column 'done' is not a"),
        ("arm,done,done\ncontrol,1,0\nnudge,1,0\n", "names the column 'done' more than once"),
        ('arm,done\ncontrol,"1\n', "is not CSV"),
        ("arm,done\n" + "".join(f"a{n},1\n" for n in range(60)), "holds 60 different values"),
    ],
    ids=["empty", "no row", "one arm", "short row", "word", "infinite", "underscore", "large",
         "larger", "small", "other digits", "twice", "quote", "many arms"],
)  # fmt: skip
def test_a_bad_file_is_refused_with_a_sentence(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(CommandError) as error:
        analyze(written(tmp_path, text), "--metric", "done")

    assert sentence in str(error.value)


def test_an_unreadable_file_is_refused_with_a_sentence(tmp_path: Path) -> None:
    truncated = tmp_path / "cut.csv.gz"
    truncated.write_bytes(gzip.compress((SMALL + "control,1,1\n" * 9999).encode())[:-20])
    plain = tmp_path / "plain.csv.gz"
    plain.write_text(SMALL, encoding="utf-8")
    binary = tmp_path / "latin.csv"
    binary.write_bytes("arm,done\ncontrol,é\n".encode("latin-1"))

    for path, sentence in (
        (tmp_path / "absent.csv", "absent.csv cannot be read: no such file"),
        (tmp_path, "cannot be read: is a directory"),
        (truncated, "cut.csv.gz cannot be read: compressed file ended"),
        (plain, "plain.csv.gz cannot be read: not a gzipped file"),
        (binary, "latin.csv is not text in UTF-8"),
    ):
        with pytest.raises(CommandError) as error:
            analyze(path, "--metric", "done")
        assert sentence in str(error.value)


def test_rows_without_an_arm_are_left_out_and_counted(tmp_path: Path) -> None:
    path = written(tmp_path, SMALL + ",1,9\nNA,7,9\n none ,1,3\n")

    found = analyze(path, "--metric", "done", "--metric", "minutes")

    assert found["rows_without_arm"] == 2
    assert found["arms"] == {"control": 2, "none": 1, "nudge": 2}
    # The 7 in a row without an arm does not turn the rate into a mean.
    assert [metric["kind"] for metric in found["metrics"]] == ["binary", "mean"]


def test_spaces_around_a_name_do_not_make_another_one(tmp_path: Path) -> None:
    path = written(tmp_path, "arm,u,done\ncontrol,a,1\n nudge,b,1\nnudge , b,0\nnudge,c,0\n")

    assert analyze(path, "--metric", "done")["arms"] == {"control": 1, "nudge": 3}
    assert analyze(path, "--metric", "done", "--unit", "u")["arms"] == {"control": 1, "nudge": 2}


def test_the_control_may_be_called_none(tmp_path: Path) -> None:
    path = written(tmp_path, "arm,done\nNA,1\nnudge,0\n,1\n")

    found = analyze(path, "--metric", "done", control="NA")

    assert (found["arms"], found["rows_without_arm"]) == ({"NA": 1, "nudge": 1}, 1)


def test_text_shows_the_number_of_rows_without_an_arm(tmp_path: Path) -> None:
    out = StringIO()
    path = written(tmp_path, SMALL + ",1,9\n")
    call_command("analyze_csv", path, "--arm=arm", "--control=control", "--metric=done", stdout=out)

    assert "Rows left out because they have no arm: 1." in out.getvalue()


@pytest.mark.parametrize("delimiter", [";", "\t"], ids=["semicolons", "tabs"])
def test_the_delimiter_is_found_in_the_header(tmp_path: Path, delimiter: str) -> None:
    rows = [("arm", "done, or not", "minutes"), ("control", "1", "2.5"), ("nudge", "0", "4")]
    path = written(tmp_path, "\n".join(delimiter.join(row) for row in rows))

    found = analyze(path, "--metric", "done, or not", "--metric", "minutes")

    assert [each["mean"] for each in found["metrics"][1]["arms"]] == [2.5, 4.0]


def test_a_file_with_semicolons_may_have_decimal_commas(tmp_path: Path) -> None:
    path = written(tmp_path, "arm;minutes\ncontrol;2,5\nnudge;4\n")

    found = analyze(path, "--metric", "minutes")

    assert [each["mean"] for each in found["metrics"][0]["arms"]] == [2.5, 4.0]


def test_a_decimal_comma_is_refused_in_a_file_with_commas(tmp_path: Path) -> None:
    path = written(tmp_path, 'arm,minutes\ncontrol,"2,5"\nnudge,4\n')

    with pytest.raises(CommandError, match="'2,5' in column 'minutes' is not a number"):
        analyze(path, "--metric", "minutes")


def test_arms_of_twenty_and_eleven_of_twenty_have_a_wide_interval(tmp_path: Path) -> None:
    # The plain interval collapses at 20 of 20. By Fisher's test p is .0012, and Newcombe's limits
    # of the fall are .1995 and .6579; those of the exact test lie near.
    rows = ["control,1"] * 20 + ["nudge,1"] * 11 + ["nudge,0"] * 9
    found = analyze(written(tmp_path, "arm,done\n" + "\n".join(rows)), "--metric", "done")

    difference = by_arm(found, "done")["nudge"]["difference"]
    assert difference["value"] == pytest.approx(-0.45)
    assert -0.70 < difference["low"] < -0.6579
    assert -0.23 < difference["high"] < -0.1995
    assert difference["p_value"] < 0.0012


CELLS = st.sampled_from(
    ["0", "1", " 1 ", "2.5", "-3e2", "+4", ".5", "5.", "", "NA", "true", "No", "1,5", "1_0", "inf",
     "1e99", "1e101", "1e-101", "x", '"1"', "0x1", "\u00a01", "\u0661", "1\x1c"]
)  # fmt: skip
ARMS = st.sampled_from(["control", "nudge", " nudge", "", "NA", "none", "contr\u00f6l"])


@pytest.mark.slow
@given(
    rows=st.lists(st.tuples(ARMS, CELLS, CELLS), max_size=6),
    delimiter=st.sampled_from([",", ";"]),
    ending=st.sampled_from(["\n", "\r\n", "\n\n"]),
    quoted=st.booleans(),
)
def test_quick_and_row_by_row_reading_agree(
    rows: list[tuple[str, str, str]], delimiter: str, ending: str, *, quoted: bool
) -> None:
    lines = [("id", "arm", "one", "two"), *(("7", *row) for row in rows)]
    if quoted:
        lines = [tuple(f'"{cell}"' for cell in line) for line in lines]  # type: ignore[misc]
    text = "".join(delimiter.join(line) + ending for line in lines)
    with TemporaryDirectory() as folder:
        plain, packed = Path(folder, "rows.csv"), Path(folder, "rows.csv.gz")
        plain.write_text(text, encoding="utf-8", newline="")
        half = len(text.encode()) // 2
        # A file of two parts, as `cat` makes it of two packed files.
        packed.write_bytes(
            gzip.compress(text.encode()[:half]) + gzip.compress(text.encode()[half:])
        )
        found = read(plain, read_by_rows)
        assert read(plain, read_columns) == read(packed, read_columns) == found


def read(path: Path, reading: Callable[..., Columns]) -> object:
    try:
        with open_table(path) as table:
            found = reading(table, numbers=["two", "one"], labels=["arm"])
    except TableError as error:
        return str(error).replace(str(path), "")
    arms = [found.labels["arm"].names[code] for code in found.labels["arm"].codes]
    return [arm.strip() for arm in arms], [
        repr(values.tolist()) for values in found.numbers.values()
    ]


@pytest.mark.parametrize(
    "cell",
    ['"1"', '"nudge, or not"', '"say ""no"""', '"two\nlines"', 'a "word"', ' "x"', '"x" ', '"'],
)
@pytest.mark.parametrize("name", ["rows.csv", "rows.csv.gz"])
def test_quoted_cells_are_read_alike(tmp_path: Path, cell: str, name: str) -> None:
    text = f'id,"arm",one,two\n1,{cell},3,"4"\n1,"nudge",5,6\n'.encode("utf-8-sig")
    path = tmp_path / name
    path.write_bytes(gzip.compress(text) if name.endswith(".gz") else text)

    assert read(path, read_columns) == read(path, read_by_rows)


def test_an_arm_whose_outcomes_are_missing_is_not_compared(tmp_path: Path) -> None:
    rows = ["control,1"] + ["control,"] * 196 + ["nudge,0", "nudge,1"] * 387
    found = analyze(written(tmp_path, "arm,done\n" + "\n".join(rows)), "--metric", "done")

    difference = by_arm(found, "done")["nudge"]["difference"]
    assert (difference["value"], difference["p_value"]) == (None, None)
    assert "missing in 0 of 774 rows of nudge and in 196 of 197 of control" in difference["reason"]
