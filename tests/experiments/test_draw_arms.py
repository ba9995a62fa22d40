import csv
import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from experiments.randomize.hash import bucket_of

HALVES = "control=0.5,nudge=0.5"


def draw(path: Path, out: Path, *args: str, weights: str = HALVES) -> dict[str, Any]:
    stdout = StringIO()
    call_command(
        "draw_arms", path, "--seed", "s", "--weights", weights, "--out", out, *args, "--json",
        stdout=stdout,
    )  # fmt: skip
    found: dict[str, Any] = json.loads(stdout.getvalue())
    return found


def written(folder: Path, text: str) -> Path:
    path = folder / "ids.csv"
    path.write_text(text, encoding="utf-8")
    return path


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "arms.csv"


def test_each_id_gets_its_bucket_and_arm(tmp_path: Path, out: Path) -> None:
    ids = [f"learner-{number}" for number in range(200)]
    found = draw(written(tmp_path, "name,id\n" + "".join(f"x,{each}\n" for each in ids)), out)

    drawn = rows(out)
    assert [row["id"] for row in drawn] == ids
    for row in drawn:
        bucket = bucket_of(row["id"], seed="s")
        assert (int(row["bucket"]), row["arm"]) == (bucket, "control" if bucket < 5000 else "nudge")
    assert sum(found["arms"].values()) == found["ids"] == 200


def test_less_coverage_draws_fewer_ids_and_changes_no_arm(tmp_path: Path, out: Path) -> None:
    path = written(tmp_path, "id\n" + "".join(f"learner-{number}\n" for number in range(300)))
    draw(path, out)
    everybody = {row["id"]: row["arm"] for row in rows(out)}
    found = draw(path, out, "--coverage", "0.4")

    assert 60 < found["not_drawn"] < 240
    assert all(row["arm"] in ("", everybody[row["id"]]) for row in rows(out))


def test_the_first_line_of_a_bare_list_is_drawn(tmp_path: Path, out: Path) -> None:
    found = draw(written(tmp_path, "a\nb\nc\n"), out)

    assert [row["id"] for row in rows(out)] == ["a", "b", "c"]
    assert found["column"] == ""


def test_repeated_ids_are_counted_and_drawn_into_one_arm(tmp_path: Path, out: Path) -> None:
    found = draw(written(tmp_path, "id\na\nb\na\n"), out)

    first, _, third = rows(out)
    assert first == third
    assert found["repeated"] == 1


def test_the_result_is_printed_as_a_sentence(tmp_path: Path, out: Path) -> None:
    stdout = StringIO()
    path = written(tmp_path, "id\na\nb\nc\n")
    call_command("draw_arms", path, "--seed=s", f"--weights={HALVES}", "--out", out, stdout=stdout)

    assert stdout.getvalue().startswith("3 ids from column id. Drawn: control ")
    assert "Not drawn: 0." in stdout.getvalue()


@pytest.mark.parametrize(
    ("weights", "sentence"),
    [
        ("control=0.5,nudge=0.4", "The weights must add up to 1"),
        ("control=0.5,control=0.5", "'control' has two weights"),
        ("control,nudge", "'control' is not a weight"),
        ("control=half,nudge=0.5", "'half' is not a number"),
        ("control=-1,nudge=2", "from 0 to 1"),
        ("", "is not a weight"),
    ],
)
def test_bad_weights_are_refused(tmp_path: Path, out: Path, weights: str, sentence: str) -> None:
    with pytest.raises(CommandError, match=sentence):
        draw(written(tmp_path, "id\na\n"), out, weights=weights)

    assert not out.exists()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "is empty"),
        ("name,city\nAna,Oslo\n", "The columns are: name, city"),
        ('id,name\n"",Ana\n', "Line 2 has no id"),
    ],
    ids=["empty", "no id column", "empty id"],
)
def test_bad_files_are_refused(tmp_path: Path, out: Path, text: str, sentence: str) -> None:
    with pytest.raises(CommandError, match=sentence):
        draw(written(tmp_path, text), out)


def test_coverage_above_one_is_refused(tmp_path: Path, out: Path) -> None:
    with pytest.raises(CommandError, match="Coverage must be from 0 to 1"):
        draw(written(tmp_path, "id\na\n"), out, "--coverage", "1.2")


def test_the_input_file_is_not_overwritten(tmp_path: Path) -> None:
    path = written(tmp_path, "id\na\n")

    with pytest.raises(CommandError, match="is the input file"):
        draw(path, path)
    assert path.read_text(encoding="utf-8") == "id\na\n"


def test_an_output_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="cannot be written: No such file or directory"):
        draw(written(tmp_path, "id\na\n"), tmp_path / "absent" / "arms.csv")


FORMULAS = ("=HYPERLINK(1)", "+1", "-1", "@a")


def test_ids_that_a_spreadsheet_would_run_are_counted(
    tmp_path: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    draw(written(tmp_path, "id\nana\n" + "".join(f"{each}\n" for each in FORMULAS)), out)

    assert "4 texts in the file begin like a formula" in capsys.readouterr().err
    assert [row["id"] for row in rows(out)] == ["ana", *FORMULAS]


def test_ids_and_arms_for_a_spreadsheet_are_not_formulas(
    tmp_path: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written(tmp_path, "id\nana\n" + "".join(f"{each}\n" for each in FORMULAS))
    draw(path, out, "--for-spreadsheet", weights="@a=0.5,-b=0.5")

    drawn = rows(out)
    assert [row["id"] for row in drawn] == ["ana", *(f"'{each}" for each in FORMULAS)]
    assert {row["arm"] for row in drawn} <= {"'@a", "'-b"}
    assert capsys.readouterr().err == ""
    # The mark is only in the file. It does not change the draw.
    plain = tmp_path / "plain.csv"
    draw(path, plain, weights="@a=0.5,-b=0.5")
    assert [row["bucket"] for row in drawn] == [row["bucket"] for row in rows(plain)]
