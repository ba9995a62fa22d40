"""Tasks for instructors: what to do for one learner, and why."""

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q

from activity.models import CourseScoped, Enrollment, through
from interventions.models.ledger import Delivery


class TaskState(models.TextChoices):
    OPEN = "open"
    CONVERSATION = "conversation", "in conversation"
    DONE = "done"
    RETURNED = "returned", "closed: the learner came back"


# The states of a task that somebody still has to do something about.
WAITING_STATES = (TaskState.OPEN, TaskState.CONVERSATION)

_WAITING = Q(state__in=WAITING_STATES)


class InstructorTask(CourseScoped):
    """One task for an instructor: a message of a cadence about a learner, not to the learner.

    `assignee` is the account of the section's teacher, if there is one. Without an assignee anybody
    who may see the task can take it over. While a task is in conversation, no mail goes out to
    the learner.
    """

    course_scope = through("enrollment__course")

    delivery = models.OneToOneField(Delivery, on_delete=models.CASCADE, related_name="task")
    enrollment = models.ForeignKey(Enrollment, on_delete=models.CASCADE, related_name="tasks")
    assignee = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
        db_index=False,
    )
    title = models.CharField(max_length=300)
    text = models.TextField(help_text="The steps for the instructor, as plain text.")
    why = models.CharField(max_length=300, blank=True, default="")
    opened_at = models.DateTimeField()
    due_at = models.DateTimeField()
    state = models.CharField(max_length=12, choices=TaskState.choices, default=TaskState.OPEN)
    talks_since = models.DateTimeField(null=True, blank=True)
    note = models.TextField(blank=True, default="")
    closed_at = models.DateTimeField(null=True, blank=True)
    closed_by = models.CharField(max_length=150, blank=True, default="")

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(state__in=TaskState.values), name="task_state_is_known"
            ),
            models.CheckConstraint(
                condition=(_WAITING & Q(closed_at__isnull=True))
                | (~_WAITING & Q(closed_at__isnull=False)),
                name="task_closed_has_an_instant",
            ),
            models.CheckConstraint(
                condition=~Q(state="conversation") | Q(talks_since__isnull=False),
                name="task_conversation_has_a_beginning",
            ),
        ]
        indexes: ClassVar = [
            # The queue, the first due task first. Most tasks of a course are closed.
            models.Index(fields=("due_at", "id"), condition=_WAITING, name="task_waiting"),
            models.Index(
                fields=("assignee", "due_at"), condition=_WAITING, name="task_waiting_for"
            ),
            # Dispatch looks for a learner's conversation before each mail.
            models.Index(
                fields=("enrollment",), condition=Q(state="conversation"), name="task_conversation"
            ),
        ]

    def __str__(self) -> str:
        return self.title
