"""Tasks for instructors. A task is about a learner and is read by staff, never by the learner."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.contrib.auth.models import User
from django.db.models.functions import Lower

from activity.models import Learner, Section
from interventions.channels.base import Channel, Draft, Outcome, Result, Shown
from interventions.channels.local import LocalConnection
from interventions.models import InstructorTask
from interventions.policy.durations import later
from interventions.render.names import one_line
from interventions.render.short import check_short, preview_short, render_short

# Two days of the course: an instructor who is away today still has tomorrow.
TIME_FOR_A_TASK = timedelta(days=2)
MAX_WHY = 300


@dataclass(frozen=True)
class TaskMessage:
    """The content of a task."""

    title: str
    text: str
    why: str
    due_at: datetime


def task_address(learner: Learner) -> str:
    """Return the learner's own name among the tasks. Every learner can be the subject of one."""
    return f"task:{learner.external_id}"


def compose_task(draft: Draft) -> TaskMessage:
    """Return the task. Raise ValueError if the text cannot be written."""
    rendered = render_short(subject=draft.text.subject, body=draft.text.body, context=draft.context)
    zone = draft.delivery.enrollment.course.time_zone
    return TaskMessage(
        title=rendered.subject,
        text=rendered.text,
        why=one_line(draft.context.reason)[:MAX_WHY],
        due_at=later(draft.written_at, TIME_FOR_A_TASK, zone=zone),
    )


def show_task(message: TaskMessage) -> Shown:
    """Return what the instructor reads."""
    return Shown(message.title, "", message.text)


def record_tasks(outcomes: Sequence[Outcome], *, now: datetime) -> None:
    """Open the tasks that were handed off, each for its section's teacher. Three queries.

    A task that exists already stays as it is.
    """
    opened = [each for each in outcomes if each.answer.result is Result.HANDED_OFF]
    teachers = _teachers({each.delivery.enrollment.section_id for each in opened})
    rows = [_task(each, teachers, now) for each in opened]
    InstructorTask.objects.bulk_create(rows, ignore_conflicts=True)


def _task(outcome: Outcome, teachers: dict[int | None, int], now: datetime) -> InstructorTask:
    message: TaskMessage = outcome.message
    return InstructorTask(
        delivery=outcome.delivery,
        enrollment_id=outcome.delivery.enrollment_id,
        assignee_id=teachers.get(outcome.delivery.enrollment.section_id),
        title=message.title,
        text=message.text,
        why=message.why,
        opened_at=now,
        due_at=message.due_at,
    )


def _teachers(section_ids: set[int | None]) -> dict[int | None, int]:
    """Return the account of each section's teacher, found by the mail address, if there is one."""
    sections = Section.objects.filter(pk__in=[pk for pk in section_ids if pk is not None])
    found = sections.values_list("pk", "teacher_email")
    emails: dict[int | None, str] = {pk: email.lower() for pk, email in found if email}
    if not emails:
        return {}
    users = User.objects.alias(mailbox=Lower("email")).filter(
        mailbox__in=emails.values(), is_active=True, is_staff=True
    )
    # With two accounts of one address, the older one counts.
    accounts = {user.email.lower(): user.pk for user in users.order_by("-pk")}
    return {pk: accounts[email] for pk, email in emails.items() if email in accounts}


TASK = Channel(
    verb="TASK_OPENED",
    address=task_address,
    compose=compose_task,
    show=show_task,
    check=check_short,
    preview=preview_short,
    connect=LocalConnection,
    is_for_staff=True,
    is_local=True,
    record=record_tasks,
)
