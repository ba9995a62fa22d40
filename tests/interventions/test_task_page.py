"""The page /tasks/ and its buttons, and the tasks on the page of a learner."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from common.clock import utc_now
from interventions.models import InstructorTask, TaskState
from tests.factories import make_learner
from tests.interventions.factories import make_evaluated
from tests.interventions.test_tasks import make_task

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)


def logged_in(client: Client, *rights: str) -> User:
    user = User.objects.create_user("tessa", "tessa@college.example", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=rights))
    client.force_login(user)
    return user


@pytest.fixture
def teacher(client: Client) -> User:
    return logged_in(client, "view_instructortask", "change_instructortask", "view_learner")


def test_the_page_is_for_those_with_the_right(client: Client) -> None:
    task = make_task()
    assert client.get("/tasks/").status_code == 302

    user = logged_in(client)
    assert client.get("/tasks/").status_code == 403

    user.user_permissions.set(Permission.objects.filter(codename="view_instructortask"))
    page = client.get("/tasks/?show=all")
    assert "Call" in page.text
    assert "Take over" not in page.text
    assert page["Cache-Control"].startswith("max-age=0")
    for act in ("take", "talk", "done"):
        assert client.post(f"/tasks/{task.pk}/{act}/").status_code == 403
        assert client.get(f"/tasks/{task.pk}/{act}/").status_code == 405


def test_the_queue_marks_what_is_overdue_and_links_to_the_learner(
    client: Client, teacher: User
) -> None:
    learner = make_learner(name="Ana <i>Li</i>")
    task = make_task(
        make_evaluated(learner=learner),
        assignee=teacher,
        due_at=utc_now() - DAY,
        text="Look at https://a.example/q\n\nThen <write>.",
        why="you have tried fewer quizzes",
    )

    page = client.get("/tasks/").text

    assert "Overdue." in page
    assert f'href="/learners/{task.enrollment.learner_id}/">Ana &lt;i&gt;Li&lt;/i&gt;</a>' in page
    assert '<a href="https://a.example/q"' in page
    assert "Then &lt;write&gt;." in page
    # The reason is written to the learner, and the page speaks to the instructor.
    assert "The messages give this reason: “you have tried fewer quizzes”." in page
    task.due_at = utc_now() + DAY
    task.save()
    assert "Overdue." not in client.get("/tasks/").text


def test_buttons_take_over_talk_and_finish(client: Client, teacher: User) -> None:
    task = make_task()

    client.post(f"/tasks/{task.pk}/take/", {"show": "all"})
    answer = client.post(f"/tasks/{task.pk}/talk/", {"show": "all"})
    assert answer["Location"] == "/tasks/?show=all"
    said = client.get("/tasks/").text
    assert "is in conversation. No mail goes out to the learner now." in said
    assert "In conversation since" in said
    client.post(f"/tasks/{task.pk}/done/", {"note": "We talked."})

    task.refresh_from_db()
    assert (task.assignee, task.state, task.note) == (teacher, TaskState.DONE, "We talked.")
    again = client.post(f"/tasks/{task.pk}/take/", follow=True).text
    assert "The task was closed by tessa." in again


def test_a_note_that_is_missing_is_asked_for_at_its_place(client: Client, teacher: User) -> None:
    task = make_task()

    answer = client.post(f"/tasks/{task.pk}/done/", {"note": "  "})

    assert answer.status_code == 422
    assert "Write what was done, in a few words." in answer.text
    assert 'aria-invalid="true"' in answer.text
    too_long = client.post(f"/tasks/{task.pk}/done/", {"note": "word " * 1001})
    assert "at most 5000 characters" in too_long.text
    assert "word word word" in too_long.text
    assert InstructorTask.objects.get().state == TaskState.OPEN


def test_the_page_of_a_learner_has_the_tasks_and_leads_back(client: Client, teacher: User) -> None:
    task = make_task()
    make_task(task.enrollment, state="done", closed_at=utc_now(), closed_by="otto", note="Called.")
    learner = task.enrollment.learner_id

    page = client.get(f"/learners/{learner}/").text
    answer = client.post(f"/tasks/{task.pk}/take/", {"learner": learner})

    assert "Tasks for instructors" in page
    assert "Done by otto on" in page
    assert answer["Location"] == f"/learners/{learner}/"


@pytest.mark.parametrize("query", ["", "?show=sections", "?show=nonsense&after=9x", "?after=77"])
def test_an_empty_queue_says_what_to_do(client: Client, teacher: User, query: str) -> None:
    assert '<div class="card">' in client.get(f"/tasks/{query}").text


def test_the_queue_takes_as_many_queries_for_nine_tasks_as_for_one(
    client: Client, teacher: User
) -> None:
    counts = []
    for number in (1, 8):
        for _ in range(number):
            make_task()
        with CaptureQueriesContext(connection) as captured:
            client.get("/tasks/?show=all")
        counts.append(len(captured))

    assert counts[0] == counts[1] <= 9
