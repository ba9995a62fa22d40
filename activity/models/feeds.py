"""The feed of a course: how many events arrive by hour, and whether that is as usual."""

from typing import ClassVar

from django.db import models
from django.db.models import Q

from activity.models.roster import Course
from activity.models.scope import SITE_ONLY, CourseScoped, through


class FeedState(models.TextChoices):
    OK = "ok", "as usual"
    SILENT = "silent", "silent"
    CHANGED = "changed", "of another shape"
    LATE = "late", "late"


class Feed(CourseScoped):
    """Whether a course's events arrive as in its own past weeks, and the numbers behind it.

    `since` is null while they do. Until `trusted_until`, staff say that all is well.
    """

    course_scope = through("course")

    course = models.OneToOneField(
        Course, primary_key=True, on_delete=models.CASCADE, related_name="feed"
    )
    state = models.CharField(max_length=7, choices=FeedState.choices, default=FeedState.OK)
    since = models.DateTimeField(null=True, blank=True)
    numbers = models.JSONField(default=dict, blank=True)
    measured_at = models.DateTimeField()
    trusted_until = models.DateTimeField(null=True, blank=True)
    trusted_by = models.CharField(max_length=150, blank=True, default="")

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(state__in=FeedState.values), name="feed_state_is_known"
            ),
            models.CheckConstraint(
                condition=Q(state="ok", since__isnull=True)
                | (~Q(state="ok") & Q(since__isnull=False)),
                name="feed_fault_has_a_beginning",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.course}: {self.get_state_display()}"


class FeedHold(CourseScoped):
    """A time for which a course's feed held what depends on it, from `noted_at` to `ended_at`.

    `since` is the instant up to which its events were known then. `ended_at` is null while it
    holds. Reports at a past instant read what held then.
    """

    course_scope = through("course")

    course = models.ForeignKey(
        Course, on_delete=models.CASCADE, related_name="feed_holds", db_index=False
    )
    since = models.DateTimeField()
    noted_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = "hold of a feed"
        verbose_name_plural = "holds of feeds"
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=("course",), condition=Q(ended_at__isnull=True), name="feed_hold_open_once"
            ),
            models.CheckConstraint(
                condition=Q(ended_at__isnull=True) | Q(ended_at__gte=models.F("noted_at")),
                name="feed_hold_ends_after_it_began",
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=("course", "noted_at"), name="feed_hold_by_course")
        ]

    def __str__(self) -> str:
        return f"{self.course}: held since {self.since:%Y-%m-%d %H:%M %Z}"


class FeedHour(CourseScoped):
    """The acts of a course that were received in one hour, by verb.

    Only the last weeks are kept, and while a fault lasts those before it.
    """

    course_scope = through("course")

    course = models.ForeignKey(
        Course, on_delete=models.CASCADE, related_name="feed_hours", db_index=False
    )
    hour_at = models.DateTimeField()
    verb = models.CharField(max_length=64)
    events = models.PositiveBigIntegerField()
    with_item = models.PositiveBigIntegerField()
    with_score = models.PositiveBigIntegerField()
    # The sum over the events, each between 0 and 30 days.
    delay_seconds = models.PositiveBigIntegerField()
    last_at = models.DateTimeField()

    class Meta:
        verbose_name = "hour of a feed"
        verbose_name_plural = "hours of feeds"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=("course", "hour_at", "verb"), name="feed_hour_once"),
        ]
        indexes: ClassVar = [models.Index(fields=("hour_at",), name="feed_hour_by_age")]

    def __str__(self) -> str:
        return f"{self.course}: {self.events} {self.verb} at {self.hour_at:%Y-%m-%d %H:%M %Z}"


class FeedCursor(CourseScoped):
    """The last event that is counted in the hours of feeds. The table has one row."""

    course_scope = SITE_ONLY

    id = models.SmallIntegerField(primary_key=True, default=1)
    event_id = models.BigIntegerField(default=0)

    class Meta:
        verbose_name = "last counted event"
        constraints: ClassVar = [
            models.CheckConstraint(condition=Q(id=1), name="feed_cursor_is_one_row")
        ]

    def __str__(self) -> str:
        return f"event {self.event_id}"
