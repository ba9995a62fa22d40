"""The page of a report as a file: opened without a server, wide, narrow, dark and on paper."""

from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from zipfile import ZipFile

from django.db import connection

from experiments.models import Assignment, Experiment
from experiments.queries import unit_rows
from experiments.queries.unit_rows import place_sizes
from tests.browser import test_report
from tests.browser.test_report import CUT, PAPER
from tests.browser.visits import IN_BROWSER, assert_accessible, assert_fits, visit
from tests.experiments.factories import assign
from tests.factories import NOW, make_enrollment

pytestmark = IN_BROWSER
course = test_report.course


def test_page_as_a_file_needs_no_server(client, staff_context, course, tmp_path):
    file = tmp_path / "nudge.html"
    file.write_bytes(client.get("/reports/nudge.html").content)
    asked = []
    staff_context.on("request", lambda request: asked.append(request.url))

    page, faults = visit(staff_context, file.as_uri(), PAPER)

    # A file has no status.
    assert faults in ([], [f"{file.as_uri()}: status None"], [f"{file.as_uri()}: status 0"])
    assert asked == [file.as_uri()]
    page.emulate_media(media="print", color_scheme="dark")
    assert page.evaluate(CUT) == 0
    assert page.evaluate("getComputedStyle(document.body).color") == "rgb(0, 0, 0)"
    page.emulate_media(media="screen", color_scheme="light")
    assert page.evaluate("getComputedStyle(document.querySelector('.outcome')).display") == "grid"
    assert_fits(page, file.name)
    assert_accessible(page, file.name)


def test_rows_are_read_from_one_state_of_the_database(client, staff_context, course, monkeypatch):
    # Only outside the transaction of a test does the file have one of its own.
    def draw():
        assign(Experiment.objects.get(), "nudge", NOW, make_enrollment(course))
        connection.close()

    def sizes(reading):
        with ThreadPoolExecutor(1) as elsewhere:
            elsewhere.submit(draw).result()
        return place_sizes(reading)

    monkeypatch.setattr(unit_rows, "place_sizes", sizes)
    response = client.get("/reports/nudge.zip")

    with ZipFile(BytesIO(b"".join(response.streaming_content))) as archive:
        assert archive.read("rows.csv").count(b"\n") == 1 + 24
    assert Assignment.objects.count() == 25
