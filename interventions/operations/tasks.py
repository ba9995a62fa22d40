"""What becomes of a task for an instructor: taken over, in conversation, done, closed by return."""

from datetime import datetime

from django.contrib.auth.models import User
from django.db import connection, transaction

from interventions.models import WAITING_STATES, InstructorTask, TaskState
from interventions.operations.errors import InterventionError

MAX_NOTE = 5_000

# An act after the task was opened. The index of open tasks and the key of DailyActivity answer it.
_CLOSE_RETURNED = """
WITH returned AS (
    SELECT task.id FROM interventions_instructortask AS task
    WHERE task.state = 'open' AND EXISTS (
        SELECT FROM activity_dailyactivity AS daily
        WHERE daily.enrollment_id = task.enrollment_id AND daily.last_act_at > task.opened_at
            AND daily.last_act_at <= %(now)s
    )
    ORDER BY task.id
    LIMIT %(limit)s
    FOR NO KEY UPDATE SKIP LOCKED
)
UPDATE interventions_instructortask AS task SET state = 'returned', closed_at = %(now)s
FROM returned WHERE task.id = returned.id
"""


def close_returned(*, now: datetime, limit: int) -> int:
    """Close open tasks whose learners have done something in the course since. Return the number.

    A conversation goes on, because the learner may have come back because of it.
    """
    with connection.cursor() as cursor:
        cursor.execute(_CLOSE_RETURNED, {"now": now, "limit": limit})
        return int(cursor.rowcount)


@transaction.atomic
def take_task(task_id: int, *, by: User) -> InstructorTask:
    """Make the task the user's own. Raise InterventionError if it is closed."""
    task = _lock(task_id)
    task.assignee = by
    task.save(update_fields=["assignee"])
    return task


@transaction.atomic
def talk_about(task_id: int, *, by: User, now: datetime) -> InstructorTask:
    """Note that the user talks with the learner, so that no mail goes out meanwhile.

    The task becomes the user's own. Raise InterventionError if it is closed.
    """
    task = _lock(task_id)
    task.assignee = by
    if task.state == TaskState.OPEN:
        task.state, task.talks_since = TaskState.CONVERSATION, now
    task.save(update_fields=["assignee", "state", "talks_since"])
    return task


@transaction.atomic
def finish_task(task_id: int, *, note: str, by: User, now: datetime) -> InstructorTask:
    """Close the task as done, with a note. Raise InterventionError if it is closed or has no note.

    Done twice with the same note is done once.
    """
    note = note.strip()
    if not note:
        raise InterventionError("Write what was done, in a few words.", field="note")
    if len(note) > MAX_NOTE:
        raise InterventionError(f"Write at most {MAX_NOTE} characters.", field="note")
    task = InstructorTask.objects.select_for_update(no_key=True).get(pk=task_id)
    if task.state == TaskState.DONE and task.note == note:
        return task
    _check_waits(task)
    task.state, task.note = TaskState.DONE, note
    task.closed_at, task.closed_by = now, by.get_username()
    task.save(update_fields=["state", "note", "closed_at", "closed_by"])
    return task


def _lock(task_id: int) -> InstructorTask:
    task = InstructorTask.objects.select_for_update(no_key=True).get(pk=task_id)
    _check_waits(task)
    return task


def _check_waits(task: InstructorTask) -> None:
    if task.state not in WAITING_STATES:
        by = f" by {task.closed_by}" if task.closed_by else ", because the learner came back"
        raise InterventionError(f"The task was closed{by}.")
