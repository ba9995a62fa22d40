"""The event log, its two read models, and the events that could not be stored."""

from typing import ClassVar

from django.db import models
from django.db.models import Q

from activity.canonical import MAX_COUNT
from activity.fields import KeyField
from activity.models.roster import Enrollment, Item
from activity.models.scope import SHARED, SITE_ONLY, CourseScoped, through
from common.constraints import instants_in_range, is_composed


class Verb(CourseScoped):
    """A verb that an admin registered beside the built-in ones."""

    course_scope = SHARED

    name = KeyField(max_length=64, unique=True)
    is_act = models.BooleanField(
        default=True, help_text="An act counts as activity of the learner in the course."
    )

    class Meta:
        ordering = ("name",)
        constraints: ClassVar = [is_composed("name", table="verb")]

    def __str__(self) -> str:
        return self.name


class Event(CourseScoped):
    """One thing that happened. Append only, except for a later grade or a correction by staff."""

    course_scope = through("enrollment__course")

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
    sent_score = models.FloatField(
        null=True, blank=True, help_text="The score as it was sent, if it was outside 0 to 1."
    )
    passed = models.BooleanField(null=True, blank=True)
    value = models.DecimalField(max_digits=20, decimal_places=6, null=True, blank=True)
    properties = models.JSONField(default=dict, blank=True)
    source = KeyField(max_length=64)
    source_id = KeyField(max_length=300)
    corrected_at = models.DateTimeField(
        null=True,
        blank=True,
        help_text="The time at which a later grade or a correction by staff changed the event.",
    )

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=("source", "source_id"), name="event_once_a_source"),
            models.CheckConstraint(
                condition=Q(score__isnull=True) | Q(score__gte=0, score__lte=1),
                name="event_score_is_a_rate",
            ),
            models.CheckConstraint(
                condition=Q(count__gte=1, count__lte=MAX_COUNT), name="event_count_in_range"
            ),
            models.CheckConstraint(
                condition=Q(count=1) | Q(score__isnull=True, passed__isnull=True),
                name="event_total_has_no_score",
            ),
            instants_in_range("occurred_at", "received_at", "corrected_at", table="event"),
            is_composed("source", table="event"),
            is_composed("source_id", table="event"),
        ]
        indexes: ClassVar = [
            models.Index(fields=("enrollment", "occurred_at"), name="event_by_enrollment"),
            # For lists that staff read: these are few among many events.
            models.Index(
                fields=("id",), name="event_cut_score", condition=Q(sent_score__isnull=False)
            ),
            models.Index(
                fields=("id",), name="event_corrected", condition=Q(corrected_at__isnull=False)
            ),
        ]

    def __str__(self) -> str:
        return f"{self.verb} at {self.occurred_at:%Y-%m-%d %H:%M %Z}"


class DailyActivity(CourseScoped):
    """The activity of an enrollment on one day in the course's zone. Derived from the event log."""

    course_scope = through("enrollment__course")

    # Neither this table nor Progress has foreign keys in the database: each row is derived from
    # events, whose keys are checked in the same transaction. A second check took a third of
    # ingest's time.
    enrollment = models.ForeignKey(
        Enrollment,
        on_delete=models.CASCADE,
        related_name="daily_activity",
        db_index=False,
        db_constraint=False,
    )
    day = models.DateField()
    acts = models.PositiveIntegerField(default=0)
    # days_since_activity is exact to the second. Without this column it would search the log.
    last_act_at = models.DateTimeField(null=True, blank=True)
    logins = models.PositiveIntegerField(default=0)
    views = models.PositiveIntegerField(default=0)
    plays = models.PositiveIntegerField(default=0)
    downloads = models.PositiveIntegerField(default=0)
    starts = models.PositiveIntegerField(default=0)
    submissions = models.PositiveIntegerField(default=0)
    attempts = models.PositiveIntegerField(default=0)
    # Progress does not cover every attempt, because an attempt need not name an item.
    last_attempt_at = models.DateTimeField(null=True, blank=True)
    scored = models.PositiveIntegerField(default=0)
    passed = models.PositiveIntegerField(default=0)
    score_sum = models.DecimalField(max_digits=16, decimal_places=6, default=0)

    class Meta:
        verbose_name = verbose_name_plural = "daily activity"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=("enrollment", "day"), name="daily_once_a_day"),
            instants_in_range("last_act_at", "last_attempt_at", table="daily"),
        ]

    def __str__(self) -> str:
        return f"{self.enrollment} on {self.day}"


class Progress(CourseScoped):
    """How far an enrollment is with one item. Derived from the event log."""

    course_scope = through("enrollment__course")

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
    # Without the instant of the last scored attempt, last_score would depend on the order in which
    # two batches arrive.
    last_scored_at = models.DateTimeField(null=True, blank=True)
    first_passed_at = models.DateTimeField(null=True, blank=True)
    first_completed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = verbose_name_plural = "progress"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=("enrollment", "item"), name="progress_once_an_item"),
            instants_in_range(
                "first_touched_at",
                "last_touched_at",
                "last_attempt_at",
                "last_scored_at",
                "first_passed_at",
                "first_completed_at",
                table="progress",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.enrollment}: {self.item}"


class RejectedReason(models.TextChoices):
    UNKNOWN_COURSE = "unknown_course"
    UNKNOWN_LEARNER = "unknown_learner", "unknown learner or not enrolled in the course"
    UNKNOWN_ITEM = "unknown_item"
    UNKNOWN_VERB = "unknown_verb"
    BAD_SCORE = "bad_score", "score that is not a number"
    CONFLICT = "conflict", "repeat with other content: the stored event counts"
    BAD_TIME = "bad_time", "time missing, unreadable or without offset"
    EARLY = "early", "up to five minutes ahead of now: stored automatically"
    FUTURE = "future", "more than five minutes ahead of now"
    BAD_FIELD = "bad_field", "missing field, or field of the wrong type"


class RejectedEvent(CourseScoped):
    """An event that could not be stored, and the reason. It can be replayed, so it is not lost."""

    course_scope = SITE_ONLY

    reason = models.CharField(max_length=20, choices=RejectedReason.choices)
    message = models.TextField()
    payload = models.JSONField()
    received_at = models.DateTimeField()
    replay_at = models.DateTimeField(null=True, blank=True)
    replayed_at = models.DateTimeField(null=True, blank=True)
    # The digest of the payload. The same bad event sent again stays one row.
    digest = models.CharField(max_length=64)

    class Meta:
        ordering = ("-id",)
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=("digest",), name="rejected_once", condition=Q(replayed_at__isnull=True)
            ),
            instants_in_range("received_at", "replay_at", "replayed_at", table="rejected"),
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
