"""What learners did: roster, event log, its two read models, and the queue of what to evaluate."""

import uuid
from typing import ClassVar

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Lower

from activity.fields import MailAddressField
from activity.validators import validate_time_zone


class Course(models.Model):
    """One run of a course. `live_since` null: segments are kept, nobody is drawn or messaged."""

    key = models.CharField(max_length=100, unique=True)
    title = models.CharField(max_length=200)
    time_zone = models.CharField(max_length=64, default="UTC", validators=[validate_time_zone])
    locale = models.CharField(max_length=16, default="en")
    starts_on = models.DateField()
    ends_on = models.DateField(help_text="The last day of the course, itself included.")
    pass_mark = models.DecimalField(max_digits=7, decimal_places=6, default="0.5")
    live_since = models.DateTimeField(
        null=True,
        blank=True,
        help_text="Empty: segments are kept, but nobody is drawn or messaged. Set it to go live.",
    )
    # A simulated course keeps the instant at which its simulation ended as its clock: without it,
    # the real clock would find the course long over and empty every segment.
    clock_stopped_at = models.DateTimeField(
        null=True,
        blank=True,
        help_text="Only for simulated courses: the instant that every page shows as its 'as of'.",
    )
    # Edits of the course or its items, and how many of them everybody concerned was pulled for.
    # While they differ, a process may have died in between: settle_edits finishes its work.
    edits = models.PositiveIntegerField(default=0, editable=False)
    settled_edits = models.PositiveIntegerField(default=0, editable=False)

    class Meta:
        ordering = ("key",)
        # Setting a course up harms nobody; what lets messages out is a right of its own: going
        # live, activating, starting an experiment, lifting a pause.
        permissions: ClassVar = [("send_messages", "May let messages go out to learners")]
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(ends_on__gte=F("starts_on")),
                name="course_ends_after_it_starts",
                violation_error_message="The course ends before it starts.",
            ),
            models.CheckConstraint(
                condition=Q(pass_mark__gte=0, pass_mark__lte=1),
                name="course_pass_mark_is_a_rate",
                violation_error_message="The pass mark must lie between 0 and 1.",
            ),
        ]

    def __str__(self) -> str:
        return self.title


class Section(models.Model):
    """The class a learner sits in; the unit of cluster randomization."""

    course = models.ForeignKey(Course, on_delete=models.CASCADE, related_name="sections")
    key = models.CharField(max_length=100)
    teacher = models.CharField(max_length=200, blank=True)

    class Meta:
        ordering = ("course_id", "key")
        constraints: ClassVar = [
            models.UniqueConstraint(fields=("course", "key"), name="section_key_once_a_course")
        ]

    def __str__(self) -> str:
        return self.key


class ItemKind(models.TextChoices):
    MODULE = "module"
    VIDEO = "video"
    PAGE = "page"
    QUIZ = "quiz"
    RESOURCE = "resource"
    ASSIGNMENT = "assignment"
    DISCUSSION = "discussion"
    OTHER = "other"


class Item(models.Model):
    """A piece of a course. A module is an item of kind module; its items name it as parent."""

    course = models.ForeignKey(Course, on_delete=models.CASCADE, related_name="items")
    key = models.CharField(max_length=200)
    kind = models.CharField(max_length=12, choices=ItemKind.choices)
    title = models.CharField(max_length=300, blank=True)
    parent = models.ForeignKey(
        "self", null=True, blank=True, on_delete=models.CASCADE, related_name="children"
    )
    position = models.PositiveIntegerField(default=0)
    assigned_on = models.DateField(null=True, blank=True)
    due_on = models.DateField(null=True, blank=True)
    estimated_minutes = models.PositiveIntegerField(null=True, blank=True)
    topic = models.CharField(max_length=100, blank=True)
    difficulty = models.CharField(max_length=50, blank=True)
    url = models.URLField(max_length=500, blank=True)

    class Meta:
        ordering = ("course_id", "position", "id")
        constraints: ClassVar = [
            models.UniqueConstraint(fields=("course", "key"), name="item_key_once_a_course"),
            models.CheckConstraint(
                condition=~Q(kind="module") | Q(parent__isnull=True),
                name="item_module_has_no_parent",
                violation_error_message="A module has no parent.",
            ),
            models.CheckConstraint(
                condition=Q(kind__in=ItemKind.values), name="item_kind_is_known"
            ),
        ]

    def __str__(self) -> str:
        return self.title or self.key


class Learner(models.Model):
    """One person over all courses. Two with one mailbox share its caps and its consent."""

    external_id = models.CharField(max_length=200, unique=True)
    email = MailAddressField(null=True, blank=True)
    name = models.CharField(max_length=200, blank=True)
    time_zone = models.CharField(max_length=64, blank=True, validators=[validate_time_zone])
    locale = models.CharField(max_length=16, blank=True)
    traits = models.JSONField(default=dict, blank=True)

    class Meta:
        ordering = ("id",)
        constraints: ClassVar = [
            # So that lower(email) in SQL is the mailbox (common.addresses.comparable).
            models.CheckConstraint(
                condition=Q(email__isnull=True) | Q(email__regex=r"^[\x01-\x7f]+$"),
                name="learner_email_is_ascii",
                violation_error_message="No mail can be sent to this address.",
            )
        ]
        indexes: ClassVar = [models.Index(Lower("email"), name="learner_by_mailbox")]

    def __str__(self) -> str:
        return self.name or self.external_id


class Enrollment(models.Model):
    """A learner in a course: the unit that segments and experiments speak of."""

    learner = models.ForeignKey(Learner, on_delete=models.CASCADE, related_name="enrollments")
    course = models.ForeignKey(Course, on_delete=models.CASCADE, related_name="enrollments")
    section = models.ForeignKey(
        Section, null=True, blank=True, on_delete=models.SET_NULL, related_name="enrollments"
    )
    unit_key = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    enrolled_at = models.DateTimeField()
    # No constraint orders withdrew_at after enrolled_at: real rosters break it.
    withdrew_at = models.DateTimeField(null=True, blank=True)
    completed_at = models.DateTimeField(null=True, blank=True)
    last_event_at = models.DateTimeField(null=True, blank=True, editable=False)
    traits = models.JSONField(
        default=dict,
        blank=True,
        help_text="What holds for this enrollment, such as earlier attempts. A rule reads it before"
        " the learner's.",
    )

    class Meta:
        ordering = ("id",)
        constraints: ClassVar = [
            models.UniqueConstraint(fields=("course", "learner"), name="enrollment_once_a_course")
        ]

    def __str__(self) -> str:
        return f"{self.learner} in {self.course}"


class DueCause(models.IntegerChoices):
    """Why a row was pulled, the strongest highest: an edit must not look like a learner's act."""

    TIME = 0, "time"
    EVENT = 1, "event"
    EDIT = 2, "edit"


class Due(models.Model):
    """When an enrollment's segments could next change. Null: nothing can change.

    The row is its enrollment's mutex for evaluate, react and manual changes. `cause` is the
    strongest reason for which it was pulled since `evaluated_at`; `rules_revision` is the revision
    of all rules (segmentation.RulesRevision) that the last evaluation read, null before the first.
    """

    enrollment = models.OneToOneField(
        Enrollment, primary_key=True, on_delete=models.CASCADE, related_name="due"
    )
    due_at = models.DateTimeField(null=True, blank=True)
    cause = models.SmallIntegerField(choices=DueCause.choices, default=DueCause.TIME)
    evaluated_at = models.DateTimeField(null=True, blank=True)
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
        return f"{self.enrollment_id} due {self.due_at}"


class Verb(models.Model):
    """A verb that an admin registered beside the built-in ones."""

    name = models.CharField(max_length=64, unique=True)
    is_act = models.BooleanField(
        default=True, help_text="An act counts as activity of the learner in the course."
    )

    class Meta:
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name


class Event(models.Model):
    """One thing that happened. Append only."""

    enrollment = models.ForeignKey(
        Enrollment, on_delete=models.CASCADE, related_name="events", db_index=False
    )
    item = models.ForeignKey(
        Item, null=True, blank=True, on_delete=models.PROTECT, related_name="events", db_index=False
    )
    verb = models.CharField(max_length=64)
    occurred_at = models.DateTimeField()
    received_at = models.DateTimeField()
    count = models.PositiveIntegerField(default=1)
    score = models.DecimalField(max_digits=7, decimal_places=6, null=True, blank=True)
    passed = models.BooleanField(null=True, blank=True)
    value = models.DecimalField(max_digits=20, decimal_places=6, null=True, blank=True)
    properties = models.JSONField(default=dict, blank=True)
    source = models.CharField(max_length=64)
    source_id = models.CharField(max_length=300)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=("source", "source_id"), name="event_once_a_source"),
            models.CheckConstraint(
                condition=Q(score__isnull=True) | Q(score__gte=0, score__lte=1),
                name="event_score_is_a_rate",
            ),
            models.CheckConstraint(condition=Q(count__gte=1), name="event_count_is_positive"),
            models.CheckConstraint(
                condition=Q(count=1) | Q(score__isnull=True, passed__isnull=True),
                name="event_total_has_no_score",
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=("enrollment", "occurred_at"), name="event_by_enrollment")
        ]

    def __str__(self) -> str:
        return f"{self.verb} at {self.occurred_at:%Y-%m-%d %H:%M}"


class DailyActivity(models.Model):
    """What an enrollment did on one day in the course's zone. Derived from the event log."""

    # No foreign key in the database here and in Progress: each row is made of events, whose own
    # keys are checked in the same transaction. Checking again took a third of ingest's time.
    enrollment = models.ForeignKey(
        Enrollment,
        on_delete=models.CASCADE,
        related_name="daily_activity",
        db_index=False,
        db_constraint=False,
    )
    day = models.DateField()
    acts = models.PositiveIntegerField(default=0)
    # days_since_activity is exact to the second: without it every reading would search the log.
    last_act_at = models.DateTimeField(null=True, blank=True)
    logins = models.PositiveIntegerField(default=0)
    views = models.PositiveIntegerField(default=0)
    plays = models.PositiveIntegerField(default=0)
    downloads = models.PositiveIntegerField(default=0)
    starts = models.PositiveIntegerField(default=0)
    submissions = models.PositiveIntegerField(default=0)
    attempts = models.PositiveIntegerField(default=0)
    # An attempt need not name an item, so that Progress does not know of every one.
    last_attempt_at = models.DateTimeField(null=True, blank=True)
    scored = models.PositiveIntegerField(default=0)
    passed = models.PositiveIntegerField(default=0)
    score_sum = models.DecimalField(max_digits=16, decimal_places=6, default=0)

    class Meta:
        verbose_name = verbose_name_plural = "daily activity"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=("enrollment", "day"), name="daily_once_a_day")
        ]

    def __str__(self) -> str:
        return f"{self.enrollment_id} on {self.day}"


class Progress(models.Model):
    """How far an enrollment is with one item. Derived from the event log."""

    enrollment = models.ForeignKey(
        Enrollment,
        on_delete=models.CASCADE,
        related_name="progress",
        db_index=False,
        db_constraint=False,
    )
    item = models.ForeignKey(
        Item,
        on_delete=models.CASCADE,
        related_name="progress",
        db_index=False,
        db_constraint=False,
    )
    first_touched_at = models.DateTimeField(null=True, blank=True)
    last_touched_at = models.DateTimeField(null=True, blank=True)
    attempts = models.PositiveIntegerField(default=0)
    last_attempt_at = models.DateTimeField(null=True, blank=True)
    best_score = models.DecimalField(max_digits=7, decimal_places=6, null=True, blank=True)
    last_score = models.DecimalField(max_digits=7, decimal_places=6, null=True, blank=True)
    # Without the instant of the last scored attempt, two batches could not agree on last_score
    # when they arrive in the other order.
    last_scored_at = models.DateTimeField(null=True, blank=True)
    first_passed_at = models.DateTimeField(null=True, blank=True)
    first_completed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = verbose_name_plural = "progress"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=("enrollment", "item"), name="progress_once_an_item")
        ]

    def __str__(self) -> str:
        return f"{self.enrollment_id} in item {self.item_id}"


class RejectedReason(models.TextChoices):
    UNKNOWN_COURSE = "unknown_course"
    UNKNOWN_LEARNER = "unknown_learner", "unknown learner or not enrolled in the course"
    UNKNOWN_ITEM = "unknown_item"
    UNKNOWN_VERB = "unknown_verb"
    BAD_SCORE = "bad_score", "score outside 0 to 1"
    BAD_TIME = "bad_time", "time missing, unreadable or without offset"
    EARLY = "early", "up to five minutes ahead of now: replayed by itself"
    FUTURE = "future", "more than five minutes ahead of now"
    BAD_FIELD = "bad_field", "a field missing or of the wrong type"


class RejectedEvent(models.Model):
    """An event that could not be stored, and why. Replayable: nothing acknowledged is lost."""

    reason = models.CharField(max_length=20, choices=RejectedReason.choices)
    message = models.TextField()
    payload = models.JSONField()
    received_at = models.DateTimeField()
    replay_at = models.DateTimeField(null=True, blank=True)
    replayed_at = models.DateTimeField(null=True, blank=True)
    # The digest of the payload: the same bad event sent again is one row.
    digest = models.CharField(max_length=64)

    class Meta:
        ordering = ("-id",)
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=("digest",), name="rejected_once", condition=Q(replayed_at__isnull=True)
            )
        ]
        indexes: ClassVar = [
            models.Index(
                fields=("replay_at",),
                name="rejected_to_replay",
                condition=Q(replayed_at__isnull=True),
            )
        ]

    def __str__(self) -> str:
        return self.message
