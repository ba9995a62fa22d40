"""The commands that measure segment sizes, and the page that they write."""

import csv
import shutil
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from activity.models import Enrollment
from tests.factories import NOW, make_cast

DOCS = Path(__file__).resolve().parents[2] / "docs"


def rows_of(path, *, day, playbook="five-segments"):
    call_command("size_segments", playbook, days=str(day), out=path, stdout=StringIO())
    with path.open(newline="") as file:
        return {row["segment"]: row for row in csv.DictReader(file)}


@pytest.mark.django_db
def test_sizes_are_counted_by_priority_with_the_learners_who_failed_or_withdrew(tmp_path):
    cast = make_cast()
    Enrollment.objects.filter(pk=cast.ana.pk).update(completed_at=NOW)
    # Until the end of day 15, Bo and Cy were inactive for a week, and Ana was not. The at-risk rule
    # is true for them too, but stalled comes first.
    rows = rows_of(tmp_path / "sizes.csv", day=15)
    found = {key: (row["members"], row["lost"]) for key, row in rows.items()}
    assert found == dict.fromkeys(rows, ("0", "0")) | {"stalled": ("2", "2")}
    assert {(row["of"], row["lost_of"]) for row in rows.values()} == {("3", "2")}
    literal = rows_of(tmp_path / "sizes.csv", day=15, playbook="five-segments-literal")
    assert literal["stalled"]["members"] == "2"


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("arguments", "words"),
    [({"playbook": "none"}, "no playbook 'none'"), ({"day": "ten"}, "must be whole numbers")],
)
def test_invalid_arguments_are_refused(tmp_path, arguments, words):
    with pytest.raises(CommandError, match=words):
        rows_of(tmp_path / "sizes.csv", **{"day": 1, **arguments})


def test_the_page_is_what_the_command_makes_of_its_files(tmp_path):
    page = tmp_path / "segments.md"
    shutil.copy(DOCS / "segments.md", page)
    files = [DOCS / "segments" / f"{name}.csv" for name in ("before", "after")]
    call_command("compare_sizes", *files, page=page)
    assert page.read_text() == (DOCS / "segments.md").read_text()
    assert "| stalled | 10,364 (56%) → 5,799 (69%) |" in page.read_text()
