"""The files of an adaptive draw, and the notebook that computes its report again from them."""

import csv
from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import transaction

from experiments.exports.notebook.reading import Data
from experiments.exports.notebook.report import beside, report_text
from experiments.models import Assignment, Experiment, SharePeriod
from experiments.queries.unit_rows import bundle_of
from tests.experiments.adaptive_world import WEEKS_LATER, adaptive, attempt, enter, grow
from tests.experiments.test_recompute import unpack
from tests.factories import NOW

pytestmark = [pytest.mark.django_db, pytest.mark.slow]

WEEK = timedelta(days=8)
THIRDS = {"control": 0.3, "nudge": 0.3, "guide": 0.4}


def unpacked(experiment: Experiment, folder: Path) -> Path:
    """Write the files of the experiment into the folder, read as a page reads them."""
    staff = get_user_model().objects.create_superuser("staff")
    with transaction.atomic():
        return unpack(bundle_of(experiment, as_of=NOW + 4 * WEEK, viewer=staff), folder)


def table(folder: Path, name: str) -> list[dict[str, str]]:
    with (folder / name).open(newline="") as file:
        return list(csv.DictReader(file))


def three_periods(**fields: Any) -> Experiment:
    """Return an experiment whose arms are mildly different, with 40 learners per period."""
    experiment = adaptive(THIRDS, share_floor="0.2", other_outcomes=["quiz_attempts_7d"], **fields)
    for number, size in enumerate((40, 40, 40)):
        rows = enter(experiment, size, at=NOW + number * WEEK)
        for arm, every in (("control", 3), ("nudge", 2), ("guide", 4)):
            attempt([row for row in rows if row.arm.key == arm][::every], arm=arm)
    return experiment


def the_rows_have_their_periods_and_shares(folder: Path) -> None:
    periods = {period.pk: number for number, period in enumerate(SharePeriod.objects.all(), 1)}
    drawn = Assignment.objects.select_related("arm", "period")
    expected = Counter(
        (row.arm.key, str(periods[row.period_id or 0]), f"{row.period.shares[row.arm.key]:g}")
        for row in drawn
        if row.period is not None
    )
    rows = table(folder, "rows.csv")
    assert Counter((row["arm"], row["period"], row["share"]) for row in rows) == expected
    assert len({period for _, period, _ in expected}) == 3
    assert {(row["section"], row["stratum"]) for row in rows} == {("", "")}
    book = table(folder, "codebook.csv")
    columns = [entry["column"] for entry in book if entry["role"] != "number"]
    assert columns == list(rows[0])


def a_learner_in_another_period_is_found(folder: Path) -> None:
    path = folder / "rows.csv"
    lines = path.read_text().splitlines()
    place = lines[0].split(",").index("period")
    for number, line in enumerate(lines):
        cells = line.split(",")
        if cells[1:2] == ["nudge"] and cells[place] == "1":
            cells[place] = "2"
            lines[number] = ",".join(cells)
            break
    path.write_text("\n".join(lines))

    differing = [line for line in report_text(folder).splitlines() if "<-- differs" in line]
    assert any(line.startswith("outcome quiz_attempted_7d nudge difference") for line in differing)
    assert any(line.startswith("arms p_value") for line in differing)


def test_every_number_follows_from_the_rows(tmp_path: Path) -> None:
    experiment = three_periods()
    unpacked(experiment, tmp_path)

    compared = {key: rest for key, *rest in beside(Data.read(tmp_path))}

    assert [(key, *each) for key, each in compared.items() if not each[-1]] == []
    primary = ("outcome", "quiz_attempted_7d", "nudge")
    for name in ("difference", "low", "high", "p_value", "weighted_rate", "corrected_p_value"):
        assert (*primary, name) in compared
    assert ("period", "quiz_attempted_7d", "guide", "weight_3") in compared
    assert ("guardrail", "unsubscribed_7d", "guide", "margin_p_value") in compared
    assert ("arms", "", "", "always_p_value") in compared
    assert report_text(tmp_path).endswith("All numbers agree.")

    the_rows_have_their_periods_and_shares(tmp_path)
    a_learner_in_another_period_is_found(tmp_path)


def test_periods_of_few_are_hidden_and_the_notebook_says_so(tmp_path: Path) -> None:
    experiment, rows = grow()
    late = Counter(row.arm.key for row in rows[20:])
    assert 0 < late["control"] < 5
    attempt(rows[20:])
    unpacked(experiment, tmp_path)

    shown = table(tmp_path, "rows.csv")
    assert {(row["period"], row["share"]) for row in shown} == {("", "")}
    said = report_text(tmp_path)
    assert "Not computed, as they need periods that are hidden:" in said
    assert said.endswith("All numbers agree.")
    assert WEEKS_LATER == NOW + WEEK
