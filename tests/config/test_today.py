"""The start page lists the decisions that wait for a person, with links to their pages."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.test import Client

from activity import access
from activity.models import Course, Section
from activity.operations import ingest
from config.views.today import Today, today_for
from experiments.models import Assignment, Experiment
from experiments.queries import beginnings
from interventions.models import DeliveryState, InstructorTask, TaskState
from interventions.operations import PauseNote, pause_cadence
from segmentation.models import Segment, SegmentStatus, Surge, SurgeState
from tests.factories import NOW, make_course, make_enrollment, make_event
from tests.interventions.factories import (
    arm_of,
    assign,
    make_cadence,
    make_delivery,
    make_evaluated,
    make_experiment,
    make_live_course,
)
from tests.interventions.test_tasks import make_task
from tests.segmentation.factories import ACTED_TODAY, make_playbook, make_segment

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)


def make_staff(*rights: str) -> Any:
    user = get_user_model().objects.create_user("bo", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=rights))
    return user


def seen(*, at: Any = NOW) -> Today:
    return today_for(get_user_model()(is_superuser=True, is_active=True), now=at)


def sentences(items: list[Any]) -> str:
    return "\n".join(item.sentence for item in items)


def test_new_installation_explains_how_to_begin(client: Client) -> None:
    client.force_login(make_staff())

    assert "There is no course yet." in client.get("/").text
    make_course()
    assert "There is no course yet." not in client.get("/").text


def test_course_that_has_begun_and_is_not_live_waits() -> None:
    course = make_course(title="Biology")
    make_course(title="Later", starts_on="2190-01-01", ends_on="2190-02-01")
    make_course(title="Over", starts_on="2024-01-01", ends_on="2024-02-01")
    make_live_course(title="Live")

    (waiting,) = seen().tasks

    assert waiting.sentence.startswith("Biology has begun and is not live")
    assert waiting.address == f"/courses/{course.pk}/"


def test_nothing_waits_where_all_goes_well() -> None:
    make_enrollment(make_live_course())

    assert (seen().tasks, seen().is_new) == ([], False)


@pytest.mark.slow
def test_each_decision_that_waits_is_a_sentence_with_its_page(client: Client) -> None:
    course = make_live_course(title="Biology")
    segment = make_segment(make_playbook(course), ACTED_TODAY, name="Quiet")
    Surge.objects.create(
        segment=segment, course=course, day=NOW.date(), state=SurgeState.HELD, held_at=NOW
    )
    Segment.objects.filter(pk=segment.pk).update(status=SegmentStatus.FROZEN, error="fails")
    cadence = make_cadence(segment=segment, name="Nudge")
    pause_cadence(cadence.pk, paused=True, now=NOW, note=PauseNote("bo", "a typo"))
    enrollment = make_evaluated(course)
    make_delivery(enrollment, cadence, state=DeliveryState.FAILED, finished_at=NOW)
    ingest([make_event(enrollment, verb="NOPE")], now=NOW)

    found = seen()
    client.force_login(get_user_model().objects.create_superuser("staff"))

    said = sentences(found.tasks)
    assert "Many learners of Biology entered" in said
    assert "Its members stay as they were" in said
    assert "The cadence “Nudge (Biology)” is paused" in said
    assert "In the last seven days 1 message failed" in said
    assert "1 event could not be stored" in said
    for item in found.tasks:
        assert client.get(item.address).status_code == 200, item


def test_old_failure_waits_for_nobody() -> None:
    make_delivery(state=DeliveryState.FAILED, finished_at=NOW)

    assert seen(at=NOW + timedelta(days=7)).tasks == []


def test_tasks_of_the_viewer_and_of_the_viewers_sections_wait(client: Client) -> None:
    course = make_live_course(title="Biology")
    bo = make_staff("view_instructortask")
    bo.email = "Bo@college.example"
    bo.save()
    own = Section.objects.create(course=course, key="a", teacher_email="bo@college.example")
    of_section = make_enrollment(course, section=own)
    make_task(make_evaluated(course), assignee=None)

    assert today_for(bo, now=NOW).tasks == []
    make_task(make_evaluated(course), assignee=bo, due_at=NOW - DAY)
    make_task(of_section, assignee=None, due_at=NOW + DAY)
    said = today_for(bo, now=NOW).tasks
    assert [each.sentence for each in said] == [
        "1 task about a learner is yours and overdue.",
        "1 task of your sections is nobody's yet.",
    ]
    client.force_login(bo)
    for item in said:
        assert client.get(item.address).text.count('<article class="task') == 1

    make_task(make_evaluated(course), assignee=bo, due_at=NOW + DAY)
    (mine, _) = today_for(bo, now=NOW).tasks
    assert mine.sentence == "2 tasks about learners are yours, 1 of them overdue."
    InstructorTask.objects.update(state=TaskState.DONE, closed_at=NOW)
    assert today_for(bo, now=NOW).tasks == []


def test_experiment_says_when_its_first_result_comes() -> None:
    course = make_live_course(title="Botany")
    experiment = make_experiment(make_segment(make_playbook(course), ACTED_TODAY), name="Half")

    waits = "“Half (Botany)” runs. Nobody has been drawn yet. It waits for learners who enter “{}”."
    assert sentences(seen().results) == waits.format(experiment.segment.name)
    drawn = assign(make_evaluated(course), arm_of(experiment, "control"))
    assert "Nobody has been drawn into nudge yet." in sentences(seen().results)

    late = assign(make_evaluated(course), arm_of(experiment, "nudge"))
    Assignment.objects.filter(pk=late.pk).update(assigned_at=drawn.assigned_at + DAY)
    first = (
        "“Half (Botany)” runs. Its first result comes on Wednesday 8 October 2025, 13:00"
        " (Europe/London)."
    )
    assert sentences(seen(at=NOW + timedelta(days=7)).results) == first
    assert "says what was found so far" in sentences(seen(at=NOW + timedelta(days=8)).results)


def test_experiment_of_a_course_that_draws_nobody_says_why() -> None:
    course = make_live_course(title="Biology")
    experiment = make_experiment(make_segment(make_playbook(course), ACTED_TODAY), name="Half")
    Course.objects.update(live_since=None)
    assert "The course Biology is not live." in sentences(seen().results)

    for key in ("control", "nudge"):
        assign(make_evaluated(course), arm_of(experiment, key))
    Course.objects.update(clock_stopped_at=NOW + DAY)
    assert "Its clock stopped before the first result." in sentences(seen().results)
    Course.objects.update(clock_stopped_at=NOW + 8 * DAY)
    assert "Its report says what was found." in sentences(seen().results)


def test_course_that_the_viewer_may_not_see_counts_but_is_not_named(monkeypatch: Any) -> None:
    mine, other = make_live_course(title="Biology"), make_live_course(title="Chemistry")
    playbook = make_playbook(mine)
    playbook.courses.add(other)
    make_experiment(make_segment(playbook, ACTED_TODAY), name="Half")
    monkeypatch.setattr(access, "courses_of", lambda user: Course.objects.filter(pk=mine.pk))

    Course.objects.filter(pk=mine.pk).update(live_since=None)
    assert "It waits for learners who enter" in sentences(seen().results)
    Course.objects.update(live_since=None)
    said = sentences(seen().results)
    assert "“Half (Biology)” runs." in said
    assert "The course Biology is not live." in said
    assert "Chemistry" not in said


def test_first_draws_cost_the_same_for_many_experiments(django_assert_num_queries: Any) -> None:
    course = make_live_course()
    segment = make_segment(make_playbook(course), ACTED_TODAY)
    for name in ("One", "Two", "Three"):
        experiment = make_experiment(segment, name=name)
        for key in ("control", "nudge"):
            assign(make_evaluated(course), arm_of(experiment, key))

    running = Experiment.objects.order_by("name")
    with django_assert_num_queries(3):
        found = list(
            beginnings(running, viewer=get_user_model()(is_superuser=True, is_active=True))
        )
    assert [len(each.starts) for each in found] == [2, 2, 2]


def test_courses_say_whether_learners_get_messages() -> None:
    make_live_course(title="Biology")
    make_course(title="History")
    make_course(
        title="Simulation", ends_on="2020-01-01", starts_on="2019-01-01", clock_stopped_at=NOW
    )

    said = sentences(seen().courses)

    assert "Biology: live since" in said
    assert "History: not live" in said
    assert "Tuesday 30 September 2025, 13:00 (Europe/London)" in said
    assert "Biology" not in sentences(seen(at=NOW + timedelta(days=400)).courses)


def test_page_shows_only_what_the_user_may_look_at(client: Client) -> None:
    make_live_course(title="Biology")
    make_delivery(state=DeliveryState.FAILED, finished_at=NOW)

    assert today_for(make_staff(), now=NOW) == Today([], [], [], is_new=False)


def test_staff_without_rights_are_not_told_that_nothing_is_there(client: Client) -> None:
    make_experiment(make_segment(make_playbook(make_live_course()), ACTED_TODAY))
    client.force_login(get_user_model().objects.create_user("some", is_staff=True))

    page = client.get("/").text

    assert "No experiment is running" not in page
    assert "No course runs now" not in page


def test_page_costs_the_same_however_much_waits(django_assert_max_num_queries: Any) -> None:
    for _ in range(3):
        course = make_live_course()
        segment = make_segment(make_playbook(course), ACTED_TODAY)
        Segment.objects.filter(pk=segment.pk).update(status=SegmentStatus.FROZEN)
        make_delivery(make_evaluated(course), state="failed", finished_at=NOW)
        make_experiment(segment)
    with django_assert_max_num_queries(15):
        seen()
