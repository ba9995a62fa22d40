import csv
from datetime import timedelta
from io import StringIO
from uuid import uuid4

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client

from activity import access
from activity.models import Course
from activity.operations import ingest
from activity.switch import choose_course
from common.clock import utc_now
from common.dates import instant_text
from experiments.models import Experiment
from experiments.operations import (
    AssignedDelivery,
    record_delivery_outcome,
    record_delivery_outcomes,
    stop_experiment,
)
from experiments.queries.answers import seconds_to_keep
from experiments.starting import lock_protocol_and_run
from tests.experiments.factories import assign, make_experiment, make_segment, running_experiment
from tests.factories import NOW, act, make_course, make_enrollment, make_event

pytestmark = pytest.mark.django_db

PAGES = (
    "/reports/", "/reports/nudge/", "/reports/nudge/answer/", "/reports/nudge.csv",
    "/reports/nudge.html",
)  # fmt: skip
HTMX = {"HX-Request": "true"}


@pytest.fixture
def viewer(client: Client) -> Client:
    user = User.objects.create_user("viewer", is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="view_experiment"))
    client.force_login(user)
    return client


@pytest.fixture
def nudge() -> Experiment:
    """An experiment on a simulated course that stopped ten days after its start."""
    course = make_course(clock_stopped_at=NOW + timedelta(days=10))
    experiment = running_experiment(key="nudge", name="Nudge", segment=make_segment(course))
    attempts = []
    for arm, outcome, reached in (("control", "ghost", 4), ("nudge", "handed_off", 9)):
        drawn = [assign(experiment, arm, NOW, make_enrollment(course)) for _ in range(12)]
        deliveries = [AssignedDelivery(each.pk, uuid4(), "") for each in drawn]
        record_delivery_outcomes(deliveries, outcome=outcome, at=NOW)
        attempts += [
            make_event(each.enrollment, "ATTEMPT_QUIZ", occurred_at=NOW, count=2)
            for each in drawn[:reached]
        ]
        assign(experiment, arm, NOW + timedelta(days=5), make_enrollment(course))
    assert ingest(attempts, now=NOW).stored == 13
    return experiment


def test_a_stranger_is_asked_to_log_in(client: Client, nudge: Experiment) -> None:
    for page in PAGES:
        response = client.get(page)

        assert (response.status_code, response["Location"]) == (302, f"/admin/login/?next={page}")


@pytest.mark.parametrize(("is_staff", "status"), [(False, 302), (True, 403)])
def test_users_who_may_not_view_experiments_are_refused(
    client: Client, nudge: Experiment, is_staff: bool, status: int
) -> None:
    client.force_login(User.objects.create_user("other", is_staff=is_staff))
    for page in PAGES:
        response = client.get(page, headers=HTMX)

        assert response.status_code == status, page
        assert b"learners" not in response.content, page


def test_reports_are_read_only(viewer: Client, nudge: Experiment) -> None:
    for page in PAGES:
        assert viewer.post(page).status_code == 405, page


def test_list_without_experiments_explains_itself(viewer: Client) -> None:
    assert b"There is no experiment yet." in viewer.get("/reports/").content


def test_list_shows_every_experiment_with_its_course_and_size(
    viewer: Client, nudge: Experiment
) -> None:
    make_experiment(name="A draft")
    text = viewer.get("/reports/").content.decode()

    title = nudge.segment.playbook.courses.get().title
    assert f'href="/reports/nudge/">Nudge ({title})<' in text
    assert "Running since Tuesday 30 September 2025, 26 learners drawn" in text
    assert 'hx-get="/reports/nudge/answer/"' in text
    assert "It has not started, so nobody has been drawn." in text


def test_row_of_the_list_loads_its_answer(viewer: Client, nudge: Experiment) -> None:
    text = viewer.get("/reports/nudge/answer/", headers=HTMX).content.decode()

    assert text.strip() == (
        "It is not clear whether learners in “nudge” differ from those who did not get it: 9 of 12 "
        "learners attempted a quiz within 7 days (75.0%), against 4 of 12 (33.3%), which may be "
        "chance. Stay with what is simpler: the experiment has ended without an answer. A new one "
        "would need more learners. "
        '<span class="quiet">As of Friday 10 October 2025, 13:00 (Europe/London).</span>'
    )
    assert viewer.get("/reports/nudge/answer/")["Location"] == "/reports/nudge/"


def test_reloaded_answer_reads_no_draw_again_and_says_its_instant(
    viewer: Client, nudge: Experiment, django_assert_max_num_queries
) -> None:
    first = viewer.get("/reports/nudge/answer/", headers=HTMX).content
    nudge.segment.playbook.courses.update(clock_stopped_at=NOW + timedelta(days=20))

    # Session, user, two of permissions, experiment, clock, and a transaction with a time limit.
    with django_assert_max_num_queries(8):
        assert viewer.get("/reports/nudge/answer/", headers=HTMX).content == first
    assert b"As of Friday 10 October 2025, 13:00 (Europe/London)." in first


def test_pages_name_no_course_that_the_viewer_may_not_see(
    viewer: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine, other = make_course(title="Biology"), make_course(title="Chemistry")
    segment = make_segment(mine, other)
    make_experiment(key="draft", name="Draft", segment=segment)
    running_experiment(key="empty", name="Empty", segment=segment)
    drawn = running_experiment(key="drawn", name="Drawn", segment=segment)
    assign(drawn, "nudge", NOW, make_enrollment(mine))
    pages = {
        "/reports/": "Drawn (Biology",
        "/reports/draft/": "Draft (Biology",
        "/reports/empty/": "Empty (Biology",
        "/reports/empty/answer/": "The course Biology is not live.",
        "/reports/drawn/": "Drawn (Biology",
    }

    def shown(page: str) -> str:
        return viewer.get(page, headers=HTMX).content.decode()

    for page, named in pages.items():
        assert named in shown(page)
        assert "Chemistry" in shown(page), page
    # The answers that were kept above name both.
    monkeypatch.setattr(access, "courses_of", lambda user: Course.objects.filter(pk=mine.pk))
    for page, named in pages.items():
        assert named in shown(page)
        assert "Chemistry" not in shown(page), page


@pytest.mark.parametrize(("took", "kept"), [(0.001, 10), (0.5, 50), (20, 300)])
def test_answer_is_kept_in_proportion_to_what_it_took(took: float, kept: float) -> None:
    assert seconds_to_keep(took) == kept


def test_stopped_experiment_has_an_answer_of_its_own(viewer: Client, nudge: Experiment) -> None:
    nudge.segment.playbook.courses.update(clock_stopped_at=None)
    text = viewer.get("/reports/nudge/answer/", headers=HTMX).content.decode()
    assert text.startswith("So far, it is not clear whether")

    stop_experiment(nudge.pk, now=utc_now())
    nudge.segment.playbook.courses.update(clock_stopped_at=NOW + timedelta(days=10))

    text = viewer.get("/reports/nudge/answer/", headers=HTMX).content.decode()
    assert text.startswith("It is not clear whether")


def test_row_of_an_unreadable_report_says_why(viewer: Client, nudge: Experiment) -> None:
    Experiment.objects.update(protocol=nudge.protocol.replace('"format":4', '"format":5'))

    text = viewer.get("/reports/nudge/answer/", headers=HTMX).content.decode()
    assert "The report cannot be shown. The protocol has format 5" in text


def test_list_is_limited_to_the_chosen_course(viewer: Client, nudge: Experiment) -> None:
    running_experiment(key="elsewhere", segment=make_segment(make_course()))
    session = viewer.session
    choose_course(session, nudge.segment.playbook.courses.get())
    session.save()

    assert [row.key for row in viewer.get("/reports/").context["rows"]] == ["nudge"]


def test_long_list_has_pages(viewer: Client) -> None:
    for _ in range(51):
        make_experiment()

    assert len(viewer.get("/reports/").context["rows"]) == 50
    assert len(viewer.get("/reports/?page=2").context["rows"]) == 1
    assert "Page 1 of 2" in viewer.get("/reports/").content.decode()


def test_list_shows_running_experiments_first_and_drafts_last(
    viewer: Client, nudge: Experiment
) -> None:
    make_experiment(key="a-draft")
    running_experiment(key="a-stopped")
    Experiment.objects.filter(key="a-stopped").update(status="stopped", stopped_at=NOW)
    running_experiment(key="later", now=NOW + timedelta(days=1))
    listed = viewer.get("/reports/").context["rows"]

    assert [each.key for each in listed] == ["later", "nudge", "a-stopped", "a-draft"]


def test_list_takes_the_same_queries_for_many_experiments(
    viewer: Client, nudge: Experiment, django_assert_max_num_queries
) -> None:
    for _ in range(3):
        make_experiment()

    # Session, user, two of permissions, number of experiments, experiments, courses of segments,
    # and in the header the permission and the pause.
    with django_assert_max_num_queries(10):
        viewer.get("/reports/")


@pytest.mark.slow
def test_report_shows_the_results_and_their_instant(viewer: Client, nudge: Experiment) -> None:
    text = viewer.get("/reports/nudge/").content.decode()

    assert "As of" in text
    assert "Friday 10 October 2025, 13:00 (Europe/London)" in text
    assert "26 learners were drawn: 13 into control, 13 into nudge." in text
    assert "9 of 12 learners attempted a quiz within 7 days (75.0%), against 4 of 12" in text
    assert "2 of 26 learners are not counted yet" in text
    assert "Ghosts: would have been sent" in text
    assert "Learners with none of them until now" in text
    assert text.count("<svg") == 3
    assert "<script>" not in text


@pytest.mark.slow
def test_report_needs_few_queries(
    viewer: Client, nudge: Experiment, django_assert_max_num_queries
) -> None:
    # Session, user, two of permissions, experiment, clock, aggregates, those from the first message
    # on, deliveries, courses, feeds that are held, over time, before the draw, changes after the
    # start, the state now (experiment, segments, courses), kept reports, pause, and a transaction
    # with a time limit.
    with django_assert_max_num_queries(21):
        viewer.get("/reports/nudge/")


@pytest.mark.slow
def test_totals_of_the_file_equal_the_page(viewer: Client, nudge: Experiment) -> None:
    page = viewer.get("/reports/nudge/").context
    response = viewer.get("/reports/nudge.csv")
    rows = list(csv.DictReader(StringIO(response.content.decode())))

    assert response["Content-Type"] == "text/csv; charset=utf-8"
    assert 'filename="nudge.csv"' in response["Content-Disposition"]
    guards = [row for row in rows if row["role"] == "guardrail"]
    rows = [row for row in rows if row["role"] != "guardrail"]
    assert {row["margin"] for row in guards if row["arm"] == "nudge"} == {
        "0.02", "0.01", "0.1", "0.05"
    }  # fmt: skip
    for cells, row in zip(page["numbers"], rows, strict=True):
        assert (cells.arm, cells.counted) == (row["arm"], row["counted"])
        assert cells.total == row["successes" if row["kind"] == "binary" else "total"]
    assert [arm.assigned for arm in page["report"].arms] == [13, 13]
    assert {row["assigned"] for row in rows} == {"13"}
    assert sum(int(row["waiting"]) for row in rows[:2]) == 2
    assert {row["as_of"] for row in rows} == {"2025-10-10T12:00:00+00:00"}


def test_names_are_escaped_everywhere(viewer: Client) -> None:
    evil = "<script>alert(1)</script>"
    draft = make_experiment(key="evil", name=evil, hypothesis=evil)
    draft.arms.update(name=evil)
    experiment = lock_protocol_and_run(draft.pk, now=NOW)
    for arm in ("control", "nudge") * 5:
        act(assign(experiment, arm, NOW).enrollment, "ATTEMPT_QUIZ", occurred_at=NOW)

    for page in ("/reports/evil/", "/reports/", "/reports/evil/answer/"):
        text = viewer.get(page, headers=HTMX).content.decode()
        assert evil not in text
        assert "&lt;script&gt;" in text


def test_a_broken_draw_is_an_alarm_above_the_results(viewer: Client, nudge: Experiment) -> None:
    control = nudge.arms.get(key="control")
    nudge.assignments.update(arm=control)
    text = viewer.get("/reports/nudge/").content.decode()

    assert 0 < text.index("Do not trust this report.") < text.index("Nothing can be")


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


def test_young_experiment_shows_the_date_of_its_first_result_and_no_table(viewer: Client) -> None:
    course = make_course(live_since=NOW)
    young = running_experiment(key="young", segment=make_segment(course), now=utc_now())
    drawn_at = utc_now() - timedelta(hours=1)
    for arm in ("control", "nudge", "nudge"):
        assign(young, arm, drawn_at)
    text = viewer.get("/reports/young/").content.decode()

    first = instant_text(drawn_at + timedelta(days=7), zone="Europe/London")
    assert f"The first result comes on {first}." in text
    assert "3 learners were drawn: 1 into control, 2 into nudge." in text
    assert "The numbers" not in text
    assert "How sure" not in text


@pytest.mark.slow
def test_messages_link_to_their_filtered_list(viewer: Client, nudge: Experiment) -> None:
    assignment = nudge.assignments.filter(arm__key="nudge").first()
    for reason in ("opted_out", "goal"):
        record_delivery_outcome(
            assignment.pk, delivery_key=uuid4(), outcome="dropped", reason=reason, at=NOW
        )
    assert (
        "/admin/experiments/deliveryoutcome" not in viewer.get("/reports/nudge/").content.decode()
    )

    viewer.force_login(User.objects.create_superuser("root"))
    page = viewer.get("/reports/nudge/")
    sent, *_, dropped = page.context["received"]
    for (words, cells), number in ((sent, 12), (dropped, 1)):
        counts, address = cells[1]
        listed = viewer.get(address).context["cl"].queryset
        assert counts.deliveries == listed.count() == number, words
        assert address.replace("&", "&amp;") in page.content.decode()


def test_report_says_that_a_stopped_clock_ends_the_draws(
    viewer: Client,
) -> None:
    course = make_course(title="Demo", live_since=NOW, clock_stopped_at=NOW + timedelta(days=10))
    running_experiment(key="vain", segment=make_segment(course))
    text = viewer.get("/reports/vain/").content.decode()

    assert "The course Demo is simulated and its clock stopped on Friday 10 October 2025" in text
    assert "No more learners are drawn" in text
    assert "No learner has been drawn yet" not in text


@pytest.mark.parametrize(
    "page", ["/reports/absent/", "/reports/absent/answer/", "/reports/absent.csv"]
)
def test_an_unknown_experiment_is_not_found(viewer: Client, page: str) -> None:
    assert viewer.get(page).status_code == 404


def test_reports_are_not_cached(viewer: Client, nudge: Experiment) -> None:
    for page in PAGES:
        assert "no-store" in viewer.get(page)["Cache-Control"], page


def test_the_page_names_the_test_and_interval_of_each_metric(
    viewer: Client, nudge: Experiment
) -> None:
    page = viewer.get("/reports/nudge/").content.decode()

    assert (
        "Quiz attempted within 7 days: counted for exactly 7 times 24 hours. Test: an exact "
        "test for small arms or rare outcomes (Boschloo); interval: all differences that this test "
        "does not rule out (inverted Boschloo)."
    ) in page
    assert "whose spreads may differ (permutation and Welch t)." in page
    assert ("Module completed within 7 days: counted for exactly 7 times 24 hours.") in page


@pytest.mark.parametrize("page", ["/reports/nudge/", "/reports/nudge.csv"])
def test_a_protocol_of_a_later_release_gives_a_sentence(
    viewer: Client, nudge: Experiment, page: str
) -> None:
    Experiment.objects.update(protocol=nudge.protocol.replace('"format":4', '"format":5'))
    response = viewer.get(page)

    assert response.status_code == 409
    assert "The protocol has format 5, but this release of Nudgelab knows only 1 to 4" in (
        response.content.decode()
    )
