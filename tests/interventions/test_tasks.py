"""Tasks for instructors: to whom they go, how they close, and what a conversation holds back."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext

from activity.models import Enrollment, Event, Section
from interventions.channels import CHANNELS
from interventions.models import InstructorTask, TaskState
from interventions.operations import InterventionError, finish_task, take_task, talk_about
from interventions.operations.tasks import close_returned
from interventions.policy.decision import Reason
from interventions.queries.tasks import CONVERSATION_ENDS, PAGE, Share, task_page
from interventions.stages.dispatch import dispatch_due
from interventions.stages.recover import recover
from tests.factories import NOW, act, make_enrollment, make_learner
from tests.interventions.factories import (
    dispatch,
    make_cadence,
    make_delivery,
    make_evaluated,
    make_live_course,
    make_run,
    make_template,
)

pytestmark = pytest.mark.django_db

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@pytest.fixture
def tessa() -> User:
    return User.objects.create_superuser("tessa", "Tessa@College.example", "password")


def make_task(enrollment: Enrollment | None = None, **fields) -> InstructorTask:
    """Return an open task."""
    enrollment = enrollment or make_evaluated()
    delivery = make_delivery(
        enrollment, make_cadence(), channel="task", state="handed_off", claimed_at=NOW
    )
    values = {"title": "Call", "text": "Ask how it goes.", "opened_at": NOW, "due_at": NOW + DAY}
    return InstructorTask.objects.create(
        delivery=delivery, enrollment=enrollment, **{**values, **fields}
    )


def in_section(teacher_email: str | None) -> Enrollment:
    course = make_live_course()
    section = Section.objects.create(course=course, key="A", teacher_email=teacher_email)
    return make_enrollment(course, due_at=None, section=section)


def dispatch_tasks(now=NOW) -> dict[str, int]:
    return dict(dispatch_due(clock=lambda: now, channels={"task": CHANNELS["task"]}))


def test_a_task_tells_what_to_do_why_and_until_when() -> None:
    name = "{{ learner.first_name | default: 'the learner' }}"
    texts = (f"Write to {name}", f"<p>Ask {name} about <a href='https://a.example/q'>the quiz</a>.")
    cadence = make_cadence(template=make_template(en=texts), why_now="attempts went down")
    learner = make_learner(name="Ana <b>Li</b>")
    delivery = make_delivery(make_evaluated(learner=learner), cadence, channel="task")

    dispatch_tasks()

    task = InstructorTask.objects.get()
    assert (task.delivery, task.title, task.why) == (delivery, "Write to Ana", "attempts went down")
    assert task.text == "Ask Ana about the quiz:\nhttps://a.example/q\n"
    assert (task.opened_at, task.due_at, task.state) == (NOW, NOW + 2 * DAY, TaskState.OPEN)


def test_text_of_a_task_is_in_the_language_of_the_course() -> None:
    template = make_template(de=("Anrufen", "<p>x</p>"), es=("Llamar", "<p>x</p>"))
    learner = make_learner(locale="es")
    enrollment = make_evaluated(make_live_course(locale="de"), learner)
    make_delivery(enrollment, make_cadence(template=template), channel="task")

    dispatch_tasks()

    # The instructor reads it, not the learner.
    assert InstructorTask.objects.get().title == "Anrufen"


def test_a_task_goes_to_the_account_with_the_address_of_the_sections_teacher(tessa: User) -> None:
    for address in ("tessa@college.example", "gone@college.example", None):
        make_delivery(in_section(address), make_cadence(), channel="task")
    make_delivery(channel="task", cadence=make_cadence())
    User.objects.create_user("gone", "gone@college.example", is_staff=True, is_active=False)

    dispatch_tasks()

    assignees = InstructorTask.objects.order_by("pk").values_list("assignee", flat=True)
    assert list(assignees) == [tessa.pk, None, None, None]


def test_a_task_closes_when_the_learner_does_something_in_the_course() -> None:
    came, opened, stayed, was_there = (make_task() for _ in range(4))
    act(came.enrollment, "VIEW_ITEM", occurred_at=NOW + HOUR)
    # Neither a mail nor what happened before the task brings a learner back.
    act(opened.enrollment, "EMAIL_OPENED", occurred_at=NOW + HOUR)
    act(was_there.enrollment, "LOGIN", occurred_at=NOW - HOUR)

    recover(now=NOW + 2 * HOUR)
    recover(now=NOW + 3 * HOUR)

    came.refresh_from_db()
    assert (came.state, came.closed_at) == (TaskState.RETURNED, NOW + 2 * HOUR)
    others = [opened, stayed, was_there]
    assert {InstructorTask.objects.get(pk=each.pk).state for each in others} == {TaskState.OPEN}


def test_a_conversation_goes_on_when_the_learner_comes_back(tessa: User) -> None:
    task = talk_about(make_task().pk, by=tessa, now=NOW)
    act(task.enrollment, "VIEW_ITEM", occurred_at=NOW + HOUR)

    assert close_returned(now=NOW + 2 * HOUR, limit=9) == 0


def test_closing_reads_only_open_tasks_by_their_index() -> None:
    for _ in range(3):
        make_task()
    InstructorTask.objects.update(state="done", closed_at=NOW)
    with connection.cursor() as cursor:
        # Otherwise the plan would depend on what other tests have left in the statistics.
        cursor.execute("ANALYZE interventions_instructortask, activity_dailyactivity")
        cursor.execute("SET LOCAL enable_seqscan = off")

    with CaptureQueriesContext(connection) as captured:
        close_returned(now=NOW, limit=9)

    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN {captured.captured_queries[0]['sql']}")
        plan = "\n".join(row[0] for row in cursor.fetchall())
    assert "task_waiting" in plan
    assert "daily_once_a_day" in plan


def test_no_mail_goes_out_while_an_instructor_talks_with_the_learner(tessa: User) -> None:
    task = make_task()
    talk_about(task.pk, by=tessa, now=NOW)
    mail = make_delivery(task.enrollment, make_cadence())
    ours = make_delivery(task.enrollment, make_cadence(), channel="task")

    sent, counts = dispatch()
    dispatch_tasks()

    mail.refresh_from_db()
    ours.refresh_from_db()
    assert (sent, counts) == ([], {"planned": 1})
    assert (mail.reason, mail.send_at) == (Reason.CONVERSATION_OPEN, NOW + HOUR)
    assert ours.state == "handed_off"
    finish_task(task.pk, note="We talked.", by=tessa, now=NOW)
    assert len(dispatch(NOW + HOUR)[0]) == 1


def test_a_conversation_that_nobody_ends_holds_mail_for_two_weeks(tessa: User) -> None:
    task = make_task()
    talk_about(task.pk, by=tessa, now=NOW - CONVERSATION_ENDS)
    make_delivery(task.enrollment, make_cadence())

    assert len(dispatch()[0]) == 1


def test_a_task_is_taken_over_talked_about_and_done(tessa: User) -> None:
    other = User.objects.create_superuser("otto")
    task = make_task(assignee=other)

    assert take_task(task.pk, by=tessa).assignee == tessa
    assert talk_about(task.pk, by=tessa, now=NOW).talks_since == NOW
    assert talk_about(task.pk, by=tessa, now=NOW + HOUR).talks_since == NOW
    done = finish_task(task.pk, note=" We talked. ", by=tessa, now=NOW + HOUR)

    assert (done.state, done.note, done.closed_by) == (TaskState.DONE, "We talked.", "tessa")
    assert finish_task(task.pk, note="We talked.", by=other, now=NOW + DAY).closed_by == "tessa"
    with pytest.raises(InterventionError, match=r"was closed by tessa\."):
        finish_task(task.pk, note="Me too.", by=other, now=NOW + DAY)
    with pytest.raises(InterventionError, match=r"was closed by tessa\."):
        take_task(task.pk, by=other)


def test_a_task_is_not_done_without_a_note(tessa: User) -> None:
    with pytest.raises(InterventionError, match="Write what was done") as refused:
        finish_task(make_task().pk, note=" \n", by=tessa, now=NOW)

    assert refused.value.field == "note"


def test_a_ghost_opens_no_task() -> None:
    make_delivery(run=make_run(make_evaluated(), ghost=True), channel="task")

    assert dispatch_tasks() == {"ghost": 1}

    assert not InstructorTask.objects.exists()
    assert not Event.objects.exists()


def test_the_queue_lists_what_is_mine_of_my_sections_and_all(tessa: User) -> None:
    mine = make_task(assignee=tessa, due_at=NOW + 2 * DAY)
    section = make_task(in_section("tessa@college.example"))
    others = make_task(in_section(None))
    make_task(state="done", closed_at=NOW, assignee=tessa)

    pages = {share: task_page(share, viewer=tessa).tasks for share in Share}

    assert pages[Share.MINE] == [mine]
    assert pages[Share.MY_SECTIONS] == [section]
    assert pages[Share.ALL] == [section, others, mine]
    # An account without an address is no teacher of the sections without one.
    nobody = User.objects.create_superuser("nobody")
    assert task_page(Share.MY_SECTIONS, viewer=nobody).tasks == []


@pytest.mark.slow
def test_the_next_page_begins_behind_the_last_task(tessa: User) -> None:
    enrollment = make_evaluated()
    made = [make_task(enrollment) for _ in range(3)]
    rows = [
        InstructorTask(
            delivery=make_delivery(enrollment, made[0].delivery.run.cadence, run=run),
            enrollment=enrollment,
            title=str(number),
            text="x",
            opened_at=NOW,
            due_at=NOW + 2 * DAY,
        )
        for number in range(PAGE)
        for run in [
            make_run(enrollment, made[0].delivery.run.cadence, status="finished", ended_at=NOW)
        ]
    ]
    InstructorTask.objects.bulk_create(rows)

    first = task_page(Share.ALL, viewer=tessa)
    assert first.last is not None
    second = task_page(Share.ALL, viewer=tessa, behind=first.last)

    assert len(first.tasks) == PAGE
    assert [each.title for each in second.tasks] == ["47", "48", "49"]
    assert second.last is None
