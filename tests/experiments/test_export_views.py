"""The zip file of rows: its rights, its content, and its reasons to refuse."""

import csv
import json
import logging
import re
from io import BytesIO, StringIO
from typing import Any
from zipfile import ZipFile

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client

from activity import access
from activity.models import Course
from experiments.exports.archive import zip_parts
from experiments.exports.page import alone
from experiments.models import Assignment, Experiment
from experiments.protocol import digest
from tests.experiments import test_views
from tests.experiments.factories import make_experiment

pytestmark = pytest.mark.django_db
nudge, viewer = test_views.nudge, test_views.viewer
ADDRESS = "/reports/nudge.zip"


@pytest.fixture
def researcher(viewer: Client) -> Client:
    """Return a viewer who may also download lists."""
    right = Permission.objects.get(codename="export_lists")
    User.objects.get(username="viewer").user_permissions.add(right)
    return viewer


def unpacked(response: Any) -> dict[str, str]:
    """Return the texts of the files in the answer, by their names."""
    with ZipFile(BytesIO(b"".join(response.streaming_content))) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name).decode() for name in archive.namelist()}


def table(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(StringIO(text)))


def test_rows_need_the_right_to_view_and_the_right_to_download(
    viewer: Client, nudge: Experiment
) -> None:
    assert viewer.get(ADDRESS).status_code == 403
    user = User.objects.get(username="viewer")
    user.user_permissions.set([Permission.objects.get(codename="export_lists")])
    assert viewer.get(ADDRESS).status_code == 403
    user.user_permissions.add(Permission.objects.get(codename="view_experiment"))
    assert "rows.csv" in unpacked(viewer.get(ADDRESS))
    assert viewer.head(ADDRESS).status_code == 405
    assert Client().get(ADDRESS).status_code == 302


def test_files_describe_each_other(
    researcher: Client, nudge: Experiment, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        response = researcher.get(ADDRESS)
    files = unpacked(response)

    assert "viewer downloads the rows of the experiment nudge" in caplog.text
    assert response["Content-Disposition"] == 'attachment; filename="nudge.zip"'
    assert digest(files["protocol.json"]) == nudge.protocol_sha256
    assert nudge.protocol_sha256 in files["README.txt"]
    rows, book = table(files["rows.csv"]), table(files["codebook.csv"])
    own = [entry for entry in book if entry["role"] != "number"]
    assert list(rows[0]) == [entry["column"] for entry in own]
    assert all(entry["meaning"] and entry["unit"] for entry in own)
    first = book[len(own)]
    assert first["column"] == "numbers.csv: outcome: low, high"
    assert first["meaning"].startswith("QUOTE THIS ONE")
    assert [entry["meaning"].startswith("QUOTE") for entry in book].count(True) == 1
    assert "It is not clear whether" in " ".join(files["README.txt"].split())
    assert [row["unit"] for row in rows] == [str(number) for number in range(1, 27)]
    assert all(int(row["is_control"]) == (row["arm"] == "control") for row in rows)
    # One of each arm was drawn later, and would be the only one of that day. So the day of the
    # others is hidden as well.
    assert {row["drawn_on"] for row in rows} == {""}
    assert json.loads(files["protocol.json"])["level"] == 0.95
    numbers = table(files["numbers.csv"])
    found = {tuple(each.values())[:4]: each["value"] for each in numbers}
    assert len(found) == len(numbers)
    for arm, total in (("control", 4), ("nudge", 9)):
        attempted = [row["quiz_attempted_7d"] for row in rows if row["arm"] == arm]
        assert attempted.count("1") == total
        # One is not counted yet.
        assert attempted.count("") == 1
        assert found["outcome", "quiz_attempted_7d", arm, "total"] == repr(float(total))
        assert found["outcome", "quiz_attempted_7d", arm, "counted"] == "12.0"


def test_files_hold_no_id_of_a_learner(researcher: Client, nudge: Experiment) -> None:
    text = "".join(unpacked(researcher.get(ADDRESS)).values())

    for drawn in Assignment.objects.select_related("enrollment__learner"):
        learner = drawn.enrollment.learner
        for known in (drawn.unit_key, drawn.enrollment.unit_key, learner.external_id):
            assert str(known) not in text


def test_the_file_of_an_instant_is_always_the_same(researcher: Client, nudge: Experiment) -> None:
    first, second = (
        b"".join(researcher.get(ADDRESS).streaming_content)  # type: ignore[attr-defined]
        for _ in range(2)
    )

    assert first == second


def test_rows_are_refused_with_a_sentence(
    researcher: Client, nudge: Experiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_experiment(key="draft")
    answer = researcher.get("/reports/draft.zip")
    assert (answer.status_code, answer.text) == (
        409, "The experiment was never started, so there is nothing to report.",
    )  # fmt: skip
    monkeypatch.setattr(access, "courses_of", lambda user: Course.objects.none())
    monkeypatch.setattr("experiments.views.exports.experiment_of", lambda *_: nudge)
    answer = researcher.get(ADDRESS)
    assert (answer.status_code, answer.text) == (
        409,
        "Learners of a course that you may not see take part, so you get no file of rows.",
    )


def test_a_zip_file_is_sent_while_its_rows_are_read() -> None:
    sent: list[bytes] = []
    seen: list[int] = []

    def lines() -> Any:
        for number in range(60_000):
            seen.append(len(sent))
            yield f"{number * 7919 % 1_000_003}\n"

    sent.extend(zip_parts([("a.txt", ["a"]), ("rows.csv", lines())]))

    # Half of the bytes had left when the last line was read.
    assert seen[-1] > len(sent) / 2
    with ZipFile(BytesIO(b"".join(sent))) as archive:
        assert archive.testzip() is None
        assert archive.read("rows.csv").count(b"\n") == 60_000


def test_the_page_as_a_file_needs_no_other(viewer: Client, nudge: Experiment) -> None:
    page, response = viewer.get("/reports/nudge/").text, viewer.get("/reports/nudge.html")
    text = response.text

    assert response["Content-Disposition"] == 'attachment; filename="nudge.html"'
    main = page[page.index("<h1>") : page.index("</main>")]
    for words in re.findall(r">([^<>]*[a-z]{3}[^<>]*)<", main):
        assert words in text or "ownload" in words or "page as a file" in words
    assert text.count("<svg") == page.count("<svg") > 0
    # No address but those that name a standard, and no script.
    assert set(re.findall(r'(?:src|href)="([^"#]*)', text)) == set()
    assert set(re.findall(r"https?://[^\s\"'<>)]*", text)) <= {
        "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink",
    }  # fmt: skip
    assert not re.search(r"<script|<link|url\(|@import", text)
    for rule in ("--ground: #12151c", ".outcome {", "@page"):
        assert rule in text


def test_the_page_offers_the_rows_only_to_those_who_may_download(
    viewer: Client, nudge: Experiment
) -> None:
    assert "/reports/nudge.html" in viewer.get("/reports/nudge/").text
    assert ADDRESS not in viewer.get("/reports/nudge/").text
    right = Permission.objects.get(codename="export_lists")
    User.objects.get(username="viewer").user_permissions.add(right)
    assert ADDRESS in viewer.get("/reports/nudge/").text


def test_links_to_the_site_leave_their_words() -> None:
    page = (
        '<p class="quiet back"><a href="/r/">Back</a></p><a href="/x" class="a">12</a><a href="#y">'
    )

    assert alone(page) == '12<a href="#y">'
