import csv
import json
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command

from tests.factories import NOW, act, make_cast, make_course, make_enrollment, make_learner
from tests.segmentation.factories import make_playbook, make_segment, where

pytestmark = pytest.mark.django_db

NOON = "2025-09-30T13:00:00+01:00"
QUIET = {"field": "active_days", "window": 30, "operator": "<", "value": 1}


@pytest.fixture
def cast():
    return make_cast()


@pytest.fixture
def rule_file(tmp_path):
    path = tmp_path / "rule.json"
    path.write_text(json.dumps(QUIET))
    return path


def preview_rule(path, course, *options, as_of=NOON):
    call_command("preview_rule", path, "--course", course, "--as-of", as_of, *options)


def test_preview_in_json_prints_only_json(cast, rule_file, capsys):
    preview_rule(rule_file, cast.course.key, "--json")
    assert json.loads(capsys.readouterr().out) == {
        "matches": 1,
        "of": 3,
        "learners": [cast.cy.learner.external_id],
    }


def test_preview_in_words_explains_the_rule(cast, rule_file, capsys):
    preview_rule(rule_file, cast.course.key)
    printed = capsys.readouterr().out
    assert "Active on fewer than 1 of the last 30 days." in printed
    assert "1 of 3 learners in scope." in printed
    assert cast.cy.learner.external_id in printed


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('{"field": "active_days", "window": 30', "is refused: the rule: is not JSON"),
        (json.dumps(QUIET | {"field": "activ"}), "is refused: field: 'activ' is not a signal"),
        (json.dumps({"combinator": "or", "rules": []}), "is refused: rules: is empty"),
        ("\udcff", "cannot be read from"),
        (
            '{"field": "logins", "window": 7, "operator": ">=", "value": ' + "9" * 5_000 + "}",
            "a number",
        ),
        (
            json.dumps({"field": "trait", "key": "\0", "operator": "=", "value": "x"}),
            "NUL character",
        ),
        (
            json.dumps({"field": "trait", "key": "a", "operator": "=", "value": "\0"}),
            "NUL character",
        ),
        (json.dumps(QUIET | {"\ud800": 1}), "is not a known key here"),
    ],
)
def test_refused_rule_gets_a_sentence(cast, tmp_path, text, sentence):
    path = tmp_path / "rule.json"
    path.write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(CommandError, match=sentence):
        preview_rule(path, cast.course.key)


def test_a_missing_file_gets_a_sentence(cast, tmp_path):
    with pytest.raises(CommandError, match=r"cannot be read from .*No such file"):
        preview_rule(tmp_path / "none.json", cast.course.key)


def test_an_unknown_course_gets_a_sentence(rule_file):
    with pytest.raises(CommandError, match="There is no course 'none'"):
        preview_rule(rule_file, "none")


@pytest.mark.parametrize("name", ["a\0", "a\udcff"])
def test_name_that_cannot_be_stored_gets_a_sentence(cast, rule_file, tmp_path, name):
    with pytest.raises(CommandError, match="There is no course 'a"):
        preview_rule(rule_file, name)
    with pytest.raises(CommandError, match="cannot be read from"):
        preview_rule(tmp_path / f"{name}.json", cast.course.key)
    if "\0" in name:
        with pytest.raises(CommandError, match="cannot be written"):
            export(cast.course, tmp_path / name)


@pytest.mark.parametrize("as_of", ["0001-01-01T00:00:00+01:00", "9999-12-31T23:00:00-05:00"])
def test_an_instant_out_of_range_gets_a_sentence(cast, rule_file, tmp_path, as_of):
    with pytest.raises(CommandError, match="outside the years 1900 to 2199"):
        preview_rule(rule_file, cast.course.key, as_of=as_of)
    arguments = ("--course", cast.course.key, "--as-of", as_of, "--out", str(tmp_path / "a.csv"))
    with pytest.raises(CommandError, match="outside the years 1900 to 2199"):
        call_command("export_signals", *arguments)


@pytest.mark.parametrize("as_of", ["1900-01-01T00:00:00Z", "2199-12-31T23:59:59Z"])
def test_the_first_and_the_last_instant_can_be_read(cast, rule_file, tmp_path, capsys, as_of):
    preview_rule(rule_file, cast.course.key, as_of=as_of)
    arguments = ("--course", cast.course.key, "--as-of", as_of, "--out", str(tmp_path / "a.csv"))
    call_command("export_signals", *arguments)
    assert "0 of 0 learners in scope." in capsys.readouterr().out


@pytest.mark.parametrize("as_of", ["2025-09-30T13:00:00", "2025-09-30", "yesterday"])
def test_an_instant_without_offset_is_refused(cast, rule_file, as_of):
    with pytest.raises(CommandError, match=r"offset|not a time"):
        preview_rule(rule_file, cast.course.key, as_of=as_of)


def export(course, path, *options):
    arguments = ("--course", course.key, "--as-of", NOON, "--out", str(path), *options)
    call_command("export_signals", *arguments)
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_export_has_one_row_per_learner_with_empty_cells_for_unknown(cast, tmp_path, capsys):
    rows = export(cast.course, tmp_path / "signals.csv")
    by_learner = {row["learner"]: row for row in rows}
    bo = by_learner[cast.bo.learner.external_id]
    assert len(rows) == 3
    assert bo["days_since_activity"] == "22.0"
    assert bo["quiz_pass_rate_all"] == ""
    assert bo["modules_open"] == "1"
    assert "3 learners" in capsys.readouterr().out


FORMULAS = ["=1+1", "+49 30 1", "-7", "@bo", "\t=1", "\r=1"]


@pytest.fixture
def formulas():
    """Return a course whose learners and traits begin like formulas, except one learner."""
    course = make_course()
    for text in [*FORMULAS, "ana=1"]:
        make_enrollment(course, make_learner(external_id=text, traits={"region": text}))
    make_segment(make_playbook(course), where("trait", "=", "x", key="region"))
    return course


def texts(rows):
    """Return the learners and traits of the exported rows."""
    (region,) = [name for name in rows[0] if "region" in name]
    return [row["learner"] for row in rows], [row[region] for row in rows]


def test_an_export_keeps_every_id_and_says_that_it_is_for_programs(formulas, tmp_path, capsys):
    learners, regions = texts(export(formulas, tmp_path / "signals.csv"))
    assert learners == regions == [*FORMULAS, "ana=1"]
    assert capsys.readouterr().err.startswith("12 texts in the file begin like a formula")


def test_an_export_for_a_spreadsheet_has_no_formula(formulas, tmp_path, capsys):
    path = tmp_path / "signals.csv"
    learners, regions = texts(export(formulas, path, "--for-spreadsheet"))
    assert learners == regions == [*(f"'{text}" for text in FORMULAS), "ana=1"]
    assert capsys.readouterr().err == ""


def test_numbers_below_zero_stay_numbers_in_a_spreadsheet(tmp_path):
    enrollment = make_enrollment()
    act(enrollment, "ATTEMPT_QUIZ", occurred_at=NOW - timedelta(days=10))
    change = where("quiz_attempts_change", "<", 0, window=7)
    make_segment(make_playbook(enrollment.course), change)
    (row,) = export(enrollment.course, tmp_path / "signals.csv", "--for-spreadsheet")
    assert row["quiz_attempts_change_7"] == "-1"


def test_a_course_without_learners_exports_its_header(tmp_path):
    path = tmp_path / "signals.csv"
    assert export(make_course(), path) == []
    assert path.read_text().startswith("learner,active_days_7,")


def test_an_export_that_cannot_be_written_gets_a_sentence(cast, tmp_path):
    with pytest.raises(CommandError, match="cannot be written: No such file"):
        export(cast.course, tmp_path / "none" / "signals.csv")
