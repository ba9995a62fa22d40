"""The tasks of instructors: the queue, a learner's tasks, and who is in conversation."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from django.contrib.auth.models import AnonymousUser, User
from django.db.models import Q, QuerySet

from activity.access import viewable
from activity.models import Learner
from interventions.models import WAITING_STATES, InstructorTask, TaskState

Staff = User | AnonymousUser

PAGE = 50
# The tasks of a learner on the learner's page.
MOST_OF_A_LEARNER = 20
# A conversation that nobody has marked as done must not hold a learner's mails for ever.
CONVERSATION_ENDS = timedelta(days=14)

_TALKING = """
SELECT FROM interventions_instructortask AS task
JOIN activity_enrollment AS enrollment ON enrollment.id = task.enrollment_id
WHERE enrollment.learner_id = {} AND task.state = 'conversation'
    AND task.talks_since > %(talking_since)s
"""


class Share(StrEnum):
    """The tasks that a page of the queue lists. The value is in the page's address."""

    MINE = "mine"
    MY_SECTIONS = "sections"
    ALL = "all"


@dataclass(frozen=True)
class TaskPage:
    """Waiting tasks, the first due first, and the task after which the next page begins."""

    tasks: list[InstructorTask]
    last: InstructorTask | None


def in_conversation(column: str) -> str:
    """Return the SQL condition that an instructor talks with the learner in the column.

    The statement needs `talking_since`: now less CONVERSATION_ENDS.
    """
    return f"EXISTS ({_TALKING.format(column)})"


def talking_with(learners: Sequence[Learner], *, now: datetime) -> set[int]:
    """Return the ids of the learners with whom an instructor is in conversation. One query."""
    talks = InstructorTask.objects.filter(
        state=TaskState.CONVERSATION,
        talks_since__gt=now - CONVERSATION_ENDS,
        enrollment__learner__in=learners,
    )
    return set(talks.values_list("enrollment__learner", flat=True))


def task_page(share: Share, *, viewer: Staff, behind: InstructorTask | None = None) -> TaskPage:
    """Return the waiting tasks of the share after `behind` that the viewer may see. One query."""
    rows = _of_share(share, waiting_tasks(viewer), viewer)
    if behind is not None:
        # By position, not by page number: an offset would read all skipped rows.
        later = Q(due_at__gt=behind.due_at) | Q(due_at=behind.due_at, pk__gt=behind.pk)
        rows = rows.filter(later, due_at__gte=behind.due_at)
    found = list(_joined(rows).order_by("due_at", "pk")[: PAGE + 1])
    return TaskPage(found[:PAGE], found[PAGE - 1] if len(found) > PAGE else None)


def dues_of_waiting(share: Share, *, viewer: Staff, most: int) -> list[datetime]:
    """Return when the waiting tasks of the share are due, at most so many. One query.

    Tasks of the viewer's sections that somebody has taken over are left out.
    """
    rows = _of_share(share, waiting_tasks(viewer), viewer)
    if share == Share.MY_SECTIONS:
        rows = rows.filter(assignee=None)
    return list(rows.order_by("due_at", "pk").values_list("due_at", flat=True)[:most])


def waiting_tasks(viewer: Staff) -> QuerySet[InstructorTask]:
    """Return the tasks that are not closed and that the viewer may see."""
    return viewable(InstructorTask.objects.filter(state__in=WAITING_STATES), viewer)


def tasks_of_learner(learner: Learner, *, viewer: Staff) -> list[InstructorTask]:
    """Return the learner's tasks that the viewer may see, the latest first. One query."""
    rows = viewable(InstructorTask.objects.filter(enrollment__learner=learner), viewer)
    return list(_joined(rows).order_by("-opened_at", "-pk")[:MOST_OF_A_LEARNER])


def _of_share(
    share: Share, rows: QuerySet[InstructorTask], viewer: Staff
) -> QuerySet[InstructorTask]:
    match share:
        case Share.MINE:
            return rows.filter(assignee=viewer.pk)
        case Share.MY_SECTIONS:
            # An empty address would be that of all sections without a teacher.
            address = getattr(viewer, "email", "")
            is_theirs = Q(enrollment__section__teacher_email__iexact=address)
            return rows.filter(is_theirs) if address else rows.none()
        case Share.ALL:
            return rows


def _joined(rows: QuerySet[InstructorTask]) -> QuerySet[InstructorTask]:
    return rows.select_related(
        "enrollment__learner", "enrollment__course", "enrollment__section", "assignee"
    )
