"""The queue of what to evaluate."""

from typing import ClassVar

from django.db import models
from django.db.models import Q

from activity.models.roster import Course, Enrollment
from activity.models.scope import CourseScoped, through


class DueCause(models.IntegerChoices):
    """Why a row was pulled. The stronger cause is higher: an edit must not look like an act."""

    TIME = 0, "time"
    EVENT = 1, "event"
    EDIT = 2, "edit"


class Due(CourseScoped):
    """When an enrollment's segments could next change. Null: nothing can change.

    The row is its enrollment's mutex for evaluate, react and manual changes. `cause` is the
    strongest reason for which it was pulled since `evaluated_at`. `late_since` is when the first
    late event since then was received (Course.late_after_hours). `rules_revision` is the revision
    of all rules (segmentation.RulesRevision) that the last evaluation read, null before the first.
    """

    course_scope = through("enrollment__course")

    enrollment = models.OneToOneField(
        Enrollment, primary_key=True, on_delete=models.CASCADE, related_name="due"
    )
    due_at = models.DateTimeField(null=True, blank=True)
    cause = models.SmallIntegerField(choices=DueCause.choices, default=DueCause.TIME)
    evaluated_at = models.DateTimeField(null=True, blank=True)
    late_since = models.DateTimeField(null=True, blank=True)
    rules_revision = models.BigIntegerField(null=True, blank=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    error = models.TextField(blank=True, default="")

    class Meta:
        verbose_name = "due evaluation"
        indexes: ClassVar = [
            models.Index(
                fields=("due_at",), name="due_by_instant", condition=Q(due_at__isnull=False)
            )
        ]

    def __str__(self) -> str:
        at = f"{self.due_at:%Y-%m-%d %H:%M %Z}" if self.due_at else "never"
        return f"{self.enrollment} due {at}"


class PastChange(CourseScoped):
    """A note that the data of a course's past days changed. It is kept until the norms are renewed.

    `occurred_at` is the earliest instant that changed. Null: any instant may have changed, for
    example by an edit of an item. Ingest only inserts rows, so that two imports of one course do
    not wait for each other.
    """

    course_scope = through("course")

    course = models.ForeignKey(Course, on_delete=models.CASCADE, related_name="past_changes")
    occurred_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name = "change of the past"
        verbose_name_plural = "changes of the past"

    def __str__(self) -> str:
        at = self.occurred_at
        return f"{self.course} from {f'{at:%Y-%m-%d %H:%M %Z}' if at else 'the beginning'}"


class Settling(CourseScoped):
    """How far the settling of a course's edits has progressed, so that it can be resumed."""

    course_scope = through("course")

    course = models.OneToOneField(
        Course, primary_key=True, on_delete=models.CASCADE, related_name="settling"
    )
    # Covers the edits up to this number. An edit that is made meanwhile is settled afterwards.
    number = models.PositiveIntegerField()
    # The last enrollment whose read models were rebuilt, and the last that was pulled.
    rebuilt_through = models.BigIntegerField(default=0)
    is_rebuilt = models.BooleanField(default=False)
    pulled_through = models.BigIntegerField(default=0)

    class Meta:
        verbose_name_plural = "settling"

    def __str__(self) -> str:
        return f"{self.course} up to edit {self.number}"
