import csv
import re
from datetime import timedelta
from io import StringIO
from uuid import uuid4

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client

from experiments.models import Experiment
from experiments.operations import record_delivery_outcome
from tests.experiments.factories import assign, make_experiment, make_segment, running_experiment
from tests.factories import NOW, act, make_course

pytestmark = pytest.mark.django_db

PAGES = ("/reports/", "/reports/nudge/", "/reports/nudge.csv")


@pytest.fixture
def viewer(client: Client) -> Client:
    user = User.objects.create_user("viewer")
    user.user_permissions.add(Permission.objects.get(codename="view_experiment"))
    client.force_login(user)
    return client


@pytest.fixture
def nudge() -> Experiment:
    """An experiment on a simulated course that stopped ten days after its start."""
    course = make_course(clock_stopped_at=NOW + timedelta(days=10))
    experiment = running_experiment(key="nudge", name="Nudge", segment=make_segment(course))
    for arm, drawn, reached in (("control", 12, 4), ("nudge", 12, 9)):
        for place in range(drawn):
            assignment = assign(experiment, arm, NOW)
            outcome = "handed_off" if arm == "nudge" else "ghost"
            record_delivery_outcome(assignment.pk, delivery_key=uuid4(), outcome=outcome, at=NOW)
            if place < reached:
                act(assignment.enrollment, "ATTEMPT_QUIZ", occurred_at=NOW, count=2)
        assign(experiment, arm, NOW + timedelta(days=5))
    return experiment


@pytest.mark.parametrize("page", PAGES)
def test_a_stranger_is_asked_to_log_in(client: Client, nudge: Experiment, page: str) -> None:
    response = client.get(page)

    assert (response.status_code, response["Location"]) == (302, f"/admin/login/?next={page}")


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("is_staff", [False, True])
def test_users_who_may_not_view_experiments_are_refused(
    client: Client, nudge: Experiment, page: str, is_staff: bool
) -> None:
    client.force_login(User.objects.create_user("other", is_staff=is_staff))
    response = client.get(page)

    assert response.status_code == 403
    assert b"learners" not in response.content


@pytest.mark.parametrize("page", PAGES)
def test_reports_are_read_only(viewer: Client, nudge: Experiment, page: str) -> None:
    assert viewer.post(page).status_code == 405


def test_list_without_experiments_explains_itself(viewer: Client) -> None:
    assert b"There is no experiment yet." in viewer.get("/reports/").content


def test_list_shows_every_experiment_with_its_size(viewer: Client, nudge: Experiment) -> None:
    make_experiment(name="A draft")
    text = viewer.get("/reports/").content.decode()

    assert re.search(r'href="/reports/nudge/">Nudge<.*?number">26<', text, re.DOTALL)
    assert "draft: not started" in text


def test_list_shows_running_experiments_first_and_drafts_last(
    viewer: Client, nudge: Experiment
) -> None:
    make_experiment(key="a-draft")
    running_experiment(key="a-stopped")
    Experiment.objects.filter(key="a-stopped").update(status="stopped", stopped_at=NOW)
    running_experiment(key="later", now=NOW + timedelta(days=1))
    listed = viewer.get("/reports/").context["experiments"]

    assert [each.key for each in listed] == ["later", "nudge", "a-stopped", "a-draft"]


def test_list_takes_the_same_queries_for_many_experiments(
    viewer: Client, nudge: Experiment, django_assert_num_queries
) -> None:
    for _ in range(3):
        make_experiment()

    # Session, user, two of permissions, experiments.
    with django_assert_num_queries(5):
        viewer.get("/reports/")


@pytest.mark.slow
def test_report_shows_the_results_and_their_instant(viewer: Client, nudge: Experiment) -> None:
    text = viewer.get("/reports/nudge/").content.decode()

    assert "As of" in text
    assert "10 October 2025, 12:00 UTC" in text
    assert "26 learners were drawn: 13 into control, 13 into nudge." in text
    assert "75.0% of learners attempted a quiz within 7 days in nudge, against 33.3%" in text
    assert "2 of 26 learners are not counted yet" in text
    assert "handed off" in text
    assert "would have been sent (control)" in text
    assert text.count("<svg") == 2
    assert "<script" not in text


@pytest.mark.slow
def test_report_needs_few_queries(
    viewer: Client, nudge: Experiment, django_assert_num_queries
) -> None:
    # Session, user, two of permissions, experiment, clock, aggregates, deliveries, courses.
    with django_assert_num_queries(9):
        viewer.get("/reports/nudge/")


@pytest.mark.slow
def test_totals_of_the_file_equal_the_page(viewer: Client, nudge: Experiment) -> None:
    page = viewer.get("/reports/nudge/").context
    response = viewer.get("/reports/nudge.csv")
    rows = list(csv.DictReader(StringIO(response.content.decode())))

    assert response["Content-Type"] == "text/csv; charset=utf-8"
    assert 'filename="nudge.csv"' in response["Content-Disposition"]
    for cells, row in zip(page["numbers"], rows, strict=True):
        assert (cells.arm, cells.counted) == (row["arm"], row["counted"])
        assert cells.total == row["successes" if row["kind"] == "binary" else "total"]
    assert [arm.assigned for arm in page["report"].arms] == [13, 13]
    assert {row["assigned"] for row in rows} == {"13"}
    assert sum(int(row["waiting"]) for row in rows[:2]) == 2
    assert {row["as_of"] for row in rows} == {"2025-10-10T12:00:00+00:00"}


def test_names_are_escaped_everywhere(viewer: Client, nudge: Experiment) -> None:
    evil = "<script>alert(1)</script>"
    Experiment.objects.update(name=evil, hypothesis=evil)
    nudge.arms.update(name=evil)

    assert b"<script" not in viewer.get("/reports/nudge/").content
    assert b"<script" not in viewer.get("/reports/").content


def test_a_broken_draw_is_an_alarm_above_the_results(viewer: Client, nudge: Experiment) -> None:
    control = nudge.arms.get(key="control")
    nudge.assignments.update(arm=control)
    text = viewer.get("/reports/nudge/").content.decode()

    assert 0 < text.index("Do not trust this report yet.") < text.index("Results")


def test_a_draft_explains_that_it_has_not_started(viewer: Client) -> None:
    make_experiment(key="draft")

    assert b"This experiment has not started." in viewer.get("/reports/draft/").content
    assert viewer.get("/reports/draft.csv").content.count(b"\n") == 1


def test_a_report_without_draws_is_not_an_error(viewer: Client) -> None:
    running_experiment(key="fresh", segment=make_segment(make_course(live_since=NOW)))
    text = viewer.get("/reports/fresh/").content.decode()

    assert "No learner has been drawn yet." in text
    assert "<svg" not in text
    assert viewer.get("/reports/fresh.csv").status_code == 200


def test_report_says_that_a_stopped_clock_ends_the_draws(
    viewer: Client,
) -> None:
    course = make_course(title="Demo", live_since=NOW, clock_stopped_at=NOW + timedelta(days=10))
    running_experiment(key="vain", segment=make_segment(course))
    text = viewer.get("/reports/vain/").content.decode()

    assert "The course Demo is simulated and its clock stopped at 10 October 2025" in text
    assert "No more learners are drawn" in text
    assert "No learner has been drawn yet" not in text


@pytest.mark.parametrize("page", ["/reports/absent/", "/reports/absent.csv"])
def test_an_unknown_experiment_is_not_found(viewer: Client, page: str) -> None:
    assert viewer.get(page).status_code == 404


@pytest.mark.parametrize("address", ["/reports/", "/reports/nudge/", "/reports/nudge.csv"])
def test_reports_are_not_cached(viewer: Client, nudge: Experiment, address: str) -> None:
    assert "no-store" in viewer.get(address)["Cache-Control"]


def test_the_page_names_the_test_and_interval_of_each_metric(
    viewer: Client, nudge: Experiment
) -> None:
    page = viewer.get("/reports/nudge/").content.decode()

    assert (
        "Quiz attempted within 7 days: counted for exactly 7 times 24 hours. Test: Boschloo "
        "exact; interval: inverted Boschloo."
    ) in page
    assert "Test and interval: permutation and Welch t." in page
    assert ("Module completed within 7 days: counted for exactly 7 times 24 hours.") in page


@pytest.mark.parametrize("page", ["/reports/nudge/", "/reports/nudge.csv"])
def test_a_protocol_of_a_later_release_gives_a_sentence(
    viewer: Client, nudge: Experiment, page: str
) -> None:
    Experiment.objects.update(protocol=nudge.protocol.replace('"format":2', '"format":3'))
    response = viewer.get(page)

    assert response.status_code == 409
    assert "The protocol has format 3, but this release of Nudgelab knows only 1 and 2" in (
        response.content.decode()
    )
