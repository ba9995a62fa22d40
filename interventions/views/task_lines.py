"""A task for an instructor in sentences, for the queue and for the page of its learner."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from common.dates import instant_text
from interventions.models import InstructorTask, TaskState
from interventions.queries.tasks import CONVERSATION_ENDS, Share, Staff, dues_of_waiting
from interventions.sentences import name_of


@dataclass(frozen=True)
class TaskLine:
    """A task with what a page says about it."""

    task: InstructorTask
    name: str
    due: str
    is_overdue: bool
    state: str
    owner: str
    is_mine: bool
    closed: str

    @property
    def is_waiting(self) -> bool:
        """Return whether somebody still has to do something about it."""
        return self.task.closed_at is None

    @property
    def is_open(self) -> bool:
        """Return whether nobody has begun to talk with the learner."""
        return self.task.state == TaskState.OPEN


def task_line(task: InstructorTask, *, viewer: Staff, now: datetime) -> TaskLine:
    """Return the line. Learner, course, section and assignee must be loaded."""
    zone = task.enrollment.course.time_zone
    return TaskLine(
        task=task,
        name=name_of(task.enrollment.learner),
        due=instant_text(task.due_at, zone=zone),
        is_overdue=task.closed_at is None and task.due_at < now,
        state=_state(task, zone, now),
        owner=_owner(task),
        is_mine=task.assignee_id == viewer.pk,
        closed=_closed(task, zone),
    )


def _state(task: InstructorTask, zone: str, now: datetime) -> str:
    if task.talks_since is None or task.state != TaskState.CONVERSATION:
        return ""
    since = f"In conversation since {instant_text(task.talks_since, zone=zone)}."
    if now - task.talks_since < CONVERSATION_ENDS:
        return f"{since} No mail goes out meanwhile."
    return f"{since} {_days(CONVERSATION_ENDS)} have passed, so mail goes out again."


def _days(length: timedelta) -> str:
    return f"{length.days} days"


def _owner(task: InstructorTask) -> str:
    if task.assignee is not None:
        return task.assignee.get_full_name() or task.assignee.get_username()
    section = task.enrollment.section
    teacher = section.teacher if section is not None else ""
    return f"nobody yet; the teacher of the section is {teacher}" if teacher else "nobody yet"


def _closed(task: InstructorTask, zone: str) -> str:
    if task.closed_at is None:
        return ""
    at = instant_text(task.closed_at, zone=zone)
    if task.state == TaskState.RETURNED:
        return f"Closed on {at}, because the learner came back."
    return f"Done by {task.closed_by} on {at}: {task.note}"


# What waits, for one task and for several.
_WAITING = {
    Share.MINE: ("task about a learner is yours", "tasks about learners are yours"),
    Share.MY_SECTIONS: (
        "task of your sections is nobody's yet",
        "tasks of your sections are nobody's yet",
    ),
}


def waiting_sentences(viewer: Staff, *, now: datetime, most: int) -> Iterator[tuple[Share, str]]:
    """Yield the shares in which tasks wait for the viewer, with their numbers. Two queries."""
    for share, words in _WAITING.items():
        dues = dues_of_waiting(share, viewer=viewer, most=most + 1)
        if dues:
            number = f"{len(dues):,}" if len(dues) <= most else f"More than {most:,}"
            yield share, f"{number} {words[len(dues) > 1]}{_overdue(dues, now)}."


def _overdue(dues: Sequence[datetime], now: datetime) -> str:
    late = sum(due < now for due in dues)
    if late == len(dues):
        return " and overdue" if late == 1 else ", all overdue"
    return f", {late:,} of them overdue" if late else ""
