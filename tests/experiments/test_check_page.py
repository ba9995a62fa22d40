"""The page that checks a plan before the start: its rights, and what it says for each state."""

from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client

from activity import access
from activity.models import Course, Enrollment, Section
from experiments.models import Assignment, ExclusionLayer, Experiment
from experiments.operations import draw_arms
from experiments.queries import planning
from experiments.reporting.replays import replay
from experiments.starting import lock_protocol_and_run
from segmentation.models import Membership, Segment, Transition
from tests.experiments import test_views
from tests.experiments.factories import assign, make_experiment, make_segment, running_experiment
from tests.factories import NOW, all_act, make_course, make_enrollment, make_item

pytestmark = pytest.mark.django_db
viewer = test_views.viewer
ADDRESS = "/reports/plan/check/"


def grant(codename: str) -> None:
    user = User.objects.get(username="viewer")
    user.user_permissions.add(Permission.objects.get(codename=codename))


def text_of(client: Client, address: str = ADDRESS) -> str:
    response = client.get(address)
    assert response.status_code == 200
    return " ".join(response.content.decode().split())


@pytest.fixture(autouse=True)
def few_replays(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make 20 replays instead of 200, which take seconds."""
    monkeypatch.setattr(planning, "replay", partial(replay, times=20))


@pytest.fixture
def course() -> Course:
    return make_course(live_since=NOW - timedelta(days=20), clock_stopped_at=NOW)


@pytest.fixture
def segment(course: Course) -> Segment:
    return make_segment(course)


def enter(segment: Segment, enrollment: Enrollment, at: Any) -> None:
    Membership.objects.create(
        segment=segment, enrollment=enrollment, entered_at=at, version=1, signals={}
    )
    Transition.objects.create(
        segment=segment, enrollment=enrollment, kind="enter", cause="event", starts=True,
        version=1, occurred_at=at, next_attempt_at=at,
    )  # fmt: skip


@pytest.fixture
def members(segment: Segment, course: Course) -> list[Enrollment]:
    """40 learners who entered ten days ago. Every second one attempted a quiz the day after."""
    quiz, at = make_item(course, "quiz"), NOW - timedelta(days=10)
    # Draws follow from the unit keys, so these are always the same.
    found = [make_enrollment(course, unit_key=UUID(int=number)) for number in range(40)]
    for each in found:
        enter(segment, each, at)
    all_act(found[1::2], "ATTEMPT_QUIZ", at=at + timedelta(days=1), item=quiz)
    return found


def test_page_is_for_staff_who_may_see_the_experiment(
    viewer: Client, segment: Segment, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_experiment(key="plan", segment=segment)

    assert viewer.get(ADDRESS).status_code == 200
    assert Client().get(ADDRESS).status_code == 302
    assert viewer.get("/reports/other/check/").status_code == 404
    monkeypatch.setattr(access, "courses_of", lambda user: Course.objects.none())
    assert viewer.get(ADDRESS).status_code == 404
    User.objects.get(username="viewer").user_permissions.clear()
    assert viewer.get(ADDRESS).status_code == 403


def test_an_empty_draft_explains_itself(viewer: Client, segment: Segment) -> None:
    make_experiment({}, key="plan", segment=segment)
    text = text_of(viewer)

    assert "The plan cannot be checked yet." in text
    assert "An experiment needs a control arm and one other arm." in text
    assert "Mark as checked" not in text


def test_a_segment_without_members_explains_itself(viewer: Client, segment: Segment) -> None:
    make_experiment(key="plan", segment=segment)
    text = text_of(viewer)

    assert "0 learners are in it now. Nobody entered in the last weeks" in text
    assert "no difference could be seen" in text
    assert "Nothing could be replayed: fewer than 20 learners" in text
    assert "No other running experiment has any of these learners." in text
    assert "No message of Nudgelab." in text


def test_page_says_what_the_plan_could_show(
    viewer: Client, segment: Segment, members: list[Enrollment], django_assert_max_num_queries: Any
) -> None:
    make_experiment(key="plan", segment=segment)
    with django_assert_max_num_queries(60):
        text = text_of(viewer, f"{ADDRESS}?lift=40")

    assert "40 learners are in it now." in text
    assert "0, 0, 40, 0. Each counted once, these are 40 learners. New learners" in text
    assert "expected per week: about 10." in text
    # 40 now and ten in each of four weeks.
    assert "No end is planned, so 4 weeks are assumed: about 80 learners until" in text
    assert "With 40 and 40 learners you would see a difference of about" in text
    assert "The 50% is measured among 40 learners of the past." in text
    assert "of 20 draws" in text
    assert "With an effect of 40 points added" in text
    assert text.count("<svg") == 2
    assert not Assignment.objects.exists()


def test_replays_are_kept_until_the_plan_changes(
    viewer: Client, segment: Segment, members: list[Enrollment], monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment = make_experiment(key="plan", segment=segment)
    first = text_of(viewer).partition("<h1>")[2]
    made: list[object] = []
    monkeypatch.setattr(
        "experiments.queries.planning.replay", lambda *args, **more: made.append(args) or 1 / 0
    )
    assert text_of(viewer).partition("<h1>")[2] == first
    Experiment.objects.filter(pk=experiment.pk).update(coverage="0.5")
    with pytest.raises(ZeroDivisionError):
        viewer.get(ADDRESS)
    assert len(made) == 1


def test_a_difference_that_is_no_number_is_refused(
    viewer: Client, segment: Segment, members: list[Enrollment]
) -> None:
    make_experiment(key="plan", segment=segment)
    for typed in ("many", "nan", "0", "1e9"):
        text = text_of(viewer, f"{ADDRESS}?lift={typed}")
        assert "Write a number above 0" in text, typed


def test_sections_are_planned_as_sections(
    viewer: Client, segment: Segment, course: Course, members: list[Enrollment]
) -> None:
    sections = [Section.objects.create(course=course, key=f"class {n}") for n in range(8)]
    for number, each in enumerate(members):
        Enrollment.objects.filter(pk=each.pk).update(section=sections[number // 5])
    make_experiment(key="plan", segment=segment, method="cluster", unit="section")
    other = running_experiment(name="Other", segment=make_segment(course))
    draw_arms(other.pk, [each.pk for each in members], now=NOW)
    text = text_of(viewer)

    assert "not tested: whole sections are drawn" in text
    assert "With only 8 sections it also depends" in text
    assert "With 4 and 4 sections" in text
    assert "Learners of one section were alike with an intraclass correlation of" in text
    assert "of 20 draws" in text


def test_marking_needs_the_right_to_change_and_a_post(viewer: Client, segment: Segment) -> None:
    experiment = make_experiment(key="plan", segment=segment, differs_outside=True)
    Course.objects.update(clock_stopped_at=None)
    mark = f"{ADDRESS}mark/"
    assert "Mark as checked" not in text_of(viewer)
    assert viewer.post(mark).status_code == 403

    grant("change_experiment")
    assert "Mark as checked" in text_of(viewer)
    assert viewer.get(mark).status_code == 405
    assert Client().post(mark).status_code == 302
    assert viewer.post(mark, follow=True).redirect_chain == [(ADDRESS, 302)]
    experiment.refresh_from_db()
    assert experiment.status == "checked"
    text = text_of(viewer)
    assert "Checked on" in text
    assert "Mark as checked" not in text


def test_a_draft_that_cannot_start_is_not_marked(viewer: Client, segment: Segment) -> None:
    experiment = make_experiment({"control": 1}, key="plan", segment=segment)
    grant("change_experiment")

    assert "needs another arm" in viewer.post(f"{ADDRESS}mark/", follow=True).content.decode()
    experiment.refresh_from_db()
    assert experiment.status == "draft"


def test_what_would_prevent_the_start_is_said(viewer: Client, segment: Segment) -> None:
    make_experiment(key="plan", segment=segment)
    text = text_of(viewer)

    assert "This draft cannot start yet." in text
    assert "No active cadence sends anything to a treatment arm." in text
    assert "clock stopped on" in text


def test_members_of_another_running_experiment_are_counted(
    viewer: Client, segment: Segment, members: list[Enrollment]
) -> None:
    elsewhere = make_segment(*segment.playbook.courses.all())
    other = running_experiment(name="Other", segment=elsewhere, seed="theirs")
    draw_arms(other.pk, [each.pk for each in members[:30]], now=NOW)
    plan = make_experiment(key="plan", segment=segment, seed="independent")
    text = text_of(viewer)
    assert "<strong>Other</strong>: 30 of 40 members are in both." in text
    assert "as independent as chance makes them" in text

    Experiment.objects.filter(pk=other.pk).update(seed="was")
    Experiment.objects.filter(pk=plan.pk).update(seed=other.seed)
    text = text_of(viewer)
    assert "The arms depend on each other (p &lt; 0.001)" in text


def test_a_running_experiment_shows_whether_effects_differ(
    viewer: Client, segment: Segment, members: list[Enrollment]
) -> None:
    began = NOW - timedelta(days=10)
    other = running_experiment(name="Other", segment=make_segment(*segment.playbook.courses.all()))
    plan = make_experiment(key="plan", segment=segment)
    lock_protocol_and_run(plan.pk, now=began)
    for number, each in enumerate(members):
        assign(other, ("control", "nudge")[number // 20], began, each)
        # In the other's nudge, only this nudge's learners attempt a quiz; elsewhere half of them.
        own = number // 2 if number < 20 else number
        assign(plan, ("control", "nudge")[own % 2], began, each)
    text = text_of(viewer)

    assert "The experiment has started" in text
    assert "How many learners will take part" not in text
    assert "40 of 40 members are in both." in text
    assert "The effect is another in “nudge” than in “control” (p &lt; 0.001)." in text


def test_experiments_of_one_layer_are_named_as_separate(
    viewer: Client, segment: Segment, members: list[Enrollment]
) -> None:
    layer = ExclusionLayer.objects.create(key="layer", name="Layer")
    running_experiment(name="Other", segment=segment, layer=layer, layer_start="0", layer_end="0.5")
    make_experiment(
        key="plan", segment=segment, layer=layer, layer_start="0.5", layer_end="1", coverage="0.8"
    )
    text = text_of(viewer)

    assert "Both have parts of one exclusion layer, so no learner is in both." in text
    assert "40% of them take part, by the coverage and the exclusion layer." in text


def test_lists_lead_to_the_check_of_a_draft(viewer: Client, segment: Segment) -> None:
    plan = make_experiment(key="plan", segment=segment)
    assert ADDRESS in text_of(viewer, "/reports/")
    assert ADDRESS in text_of(viewer, "/reports/plan/")
    assert ADDRESS in text_of(viewer, "/admin/experiments/experiment/")
    assert ADDRESS in text_of(viewer, f"/admin/experiments/experiment/{plan.pk}/change/")


def test_the_plan_of_the_draft_is_what_is_checked(
    viewer: Client, segment: Segment, members: list[Enrollment]
) -> None:
    looks = "\n".join(str((NOW + timedelta(weeks=week)).date()) for week in (1, 2, 3))
    make_experiment(
        key="plan", segment=segment, primary_outcome="quiz_attempts_7d", smallest_lift="0.5",
        looks=looks, expected_learners=300,
    )  # fmt: skip
    text = text_of(viewer)

    assert "<strong>Quiz attempts within 7 days</strong> is the primary outcome." in text
    assert "the power is not computed by a formula" in text
    assert "With an effect of 0.5 added" in text
    assert "It ends with its last look" in text
    assert text.count("(a look)") == 3
    assert "The plan expects 300" in text
