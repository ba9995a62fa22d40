"""Reports count no learner for two without a word, and end after their time."""

import csv
from typing import Any

import pytest
from django.db import connection
from django.test import Client

from activity.access import COMMAND_LINE
from activity.operations import ingest
from experiments.models import Experiment
from experiments.queries import reports
from experiments.views import reports as views
from tests.experiments import test_views
from tests.experiments.test_views import HTMX, PAGES
from tests.factories import NOW, act, make_course, make_event

pytestmark = pytest.mark.django_db
nudge, viewer = test_views.nudge, test_views.viewer


def test_list_and_report_of_two_courses_do_not_take_enrollments_for_learners(
    viewer: Client, nudge: Experiment
) -> None:
    nudge.segment.playbook.courses.add(make_course())

    assert "26 enrollments drawn" in viewer.get("/reports/").text
    said = "A learner of two of these courses is drawn in each of them, and counts twice."
    assert said in viewer.get("/reports/nudge/").text


def test_report_that_takes_too_long_says_so(
    viewer: Client, nudge: Experiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(*_: Any, **__: Any) -> Any:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_sleep(1)")

    monkeypatch.setattr(views, "LONGEST_SECONDS", 0.01)
    monkeypatch.setattr(views, "make_report", read)
    monkeypatch.setattr(views, "kept_answer", read)

    said = "The database could not answer within 0.01 seconds."
    for page in PAGES[1:]:
        answer = viewer.get(page, headers=HTMX)
        assert said in answer.text
        assert answer.status_code == (200 if "answer" in page else 503)
        assert "Install the release" not in answer.text


def test_list_counts_draws_only_up_to_a_limit(
    viewer: Client, nudge: Experiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (views, reports):
        monkeypatch.setattr(module, "MOST_COUNTED", 20)

    (counted,) = reports.experiments_with_sizes(viewer=COMMAND_LINE)
    assert counted.assigned == 21
    assert "more than 20 learners drawn" in viewer.get("/reports/").text


def test_two_events_of_the_largest_count_give_numbers_or_reasons(
    viewer: Client, nudge: Experiment
) -> None:
    drawn = nudge.assignments.filter(arm__key="nudge").order_by("assigned_at", "pk").first()
    assert drawn is not None
    # The largest number of the column never gets there: ingest and the table refuse it.
    largest = make_event(drawn.enrollment, "ATTEMPT_QUIZ", occurred_at=NOW, count=2_147_483_647)
    (rejected,) = ingest([largest], now=NOW).rejected
    assert "must be between 1 and 1,000,000" in rejected.message
    for _ in range(2):
        act(drawn.enrollment, "ATTEMPT_QUIZ", occurred_at=NOW, count=1_000_000)

    lines = list(csv.DictReader(viewer.get("/reports/nudge.csv").text.splitlines()))

    (found,) = [
        line for line in lines if line["metric"] == "quiz_attempts_7d" and line["arm"] == "nudge"
    ]
    # Nine learners of this arm attempted two quizzes each before.
    assert int(found["total"]) == 18 + 2 * 1_000_000
    assert found["p_value"]
    assert all(line["p_value"] or line["reason"] or line["is_control"] == "true" for line in lines)
    page = viewer.get("/reports/nudge/")
    assert page.status_code == 200
    assert "nan" not in page.text
