"""Courses with their sections and items, learners, and enrollments."""

import uuid
from typing import ClassVar

from django.core.validators import MaxValueValidator
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Lower

from activity.fields import KeyField, MailAddressField, TraitsField
from activity.models.scope import CourseScoped, through
from activity.validators import validate_instant, validate_time_zone, validate_web_address
from common.constraints import days_in_range, instants_in_range, is_composed, is_object

# The default delay between occurrence and receipt after which an event counts as late.
LATE_AFTER_HOURS = 48

MOST_GRACE_DAYS = 60


class Course(CourseScoped):
    """One run of a course. `live_since` null: segments are kept, nobody is drawn or messaged."""

    course_scope = through("pk")

    key = KeyField(max_length=100, unique=True)
    title = models.CharField(max_length=200)
    time_zone = models.CharField(max_length=64, default="UTC", validators=[validate_time_zone])
    locale = models.CharField(max_length=16, default="en")
    contact_email = MailAddressField(
        null=True,
        blank=True,
        help_text="The address for replies to messages, unless the section's teacher has one.",
    )
    url = models.CharField(
        "web address",
        max_length=500,
        blank=True,
        default="",
        validators=[validate_web_address],
        help_text="The page of the course on your platform. Messages can link to it.",
    )
    starts_on = models.DateField()
    ends_on = models.DateField(help_text="The last day that belongs to the course.")
    pass_mark = models.DecimalField(max_digits=7, decimal_places=6, default="0.5")
    # An activity counts as owed this many days after its due day. Results arrive late, and a
    # learner must not be told that something is missing which they submitted yesterday.
    grace_days = models.PositiveSmallIntegerField(
        default=2,
        validators=[MaxValueValidator(MOST_GRACE_DAYS)],
        help_text="The number of days after its due day until an activity counts as owed.",
    )
    live_since = models.DateTimeField(
        validators=[validate_instant],
        null=True,
        blank=True,
        help_text="While this is empty, segments are kept, but no learner is drawn or messaged. "
        "Set a time to go live.",
    )
    late_after_hours = models.PositiveIntegerField(
        default=LATE_AFTER_HOURS,
        help_text="An event that is received more than this many hours after it occurred counts "
        "as late: it can change segments, but it starts no messages.",
    )
    late_events_start = models.BooleanField(
        default=False,
        verbose_name="late events start messages too",
        help_text="Tick this only if your platform always sends its events late.",
    )
    # A simulated course uses the instant at which its simulation ended as its clock. By the real
    # clock the course would be over, and every segment would be empty.
    clock_stopped_at = models.DateTimeField(
        validators=[validate_instant],
        null=True,
        blank=True,
        help_text="Only for simulated courses: the time for which every page shows the course.",
    )
    # Since when the messages of the course wait, because its events do not arrive as usual. Feed
    # has the reason. It is here, because dispatch and evaluation read the course anyway.
    feed_held_since = models.DateTimeField(null=True, blank=True, editable=False)
    # The number of edits of the course and its items, and the number of those for which all
    # affected enrollments were pulled. If they differ, a process may have died in between, and
    # settle_edits finishes its work.
    edits = models.PositiveIntegerField(default=0, editable=False)
    settled_edits = models.PositiveIntegerField(default=0, editable=False)

    class Meta:
        ordering = ("key",)
        # Setting up a course sends nothing. Actions that let messages out need a permission of
        # their own: going live, activating, starting an experiment, lifting a pause.
        # A file with all learners leaves the site, so reading the pages is not enough for it.
        permissions: ClassVar = [
            ("send_messages", "May let messages go out to learners"),
            ("export_lists", "May download lists of learners and messages"),
        ]
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
            models.CheckConstraint(
                condition=Q(grace_days__lte=MOST_GRACE_DAYS),
                name="course_grace_is_short",
                violation_error_message=f"The grace is at most {MOST_GRACE_DAYS} days.",
            ),
            models.CheckConstraint(
                condition=Q(late_after_hours__gte=1, late_after_hours__lte=87_600),
                name="course_late_after_is_a_while",
                violation_error_message="Say from how many hours on an event is late: "
                "1 to 87,600, which is ten years.",
            ),
            days_in_range("starts_on", "ends_on", table="course"),
            instants_in_range("live_since", "clock_stopped_at", table="course"),
            is_composed("key", table="course"),
        ]

    def __str__(self) -> str:
        return self.title


class Section(CourseScoped):
    """The class that a learner belongs to. It is the unit of cluster randomization."""

    course_scope = through("course")

    course = models.ForeignKey(Course, on_delete=models.CASCADE, related_name="sections")
    key = KeyField(max_length=100)
    teacher = models.CharField(max_length=200, blank=True)
    teacher_email = MailAddressField(
        null=True, blank=True, help_text="The address for replies to this section's messages."
    )

    class Meta:
        ordering = ("course_id", "key")
        constraints: ClassVar = [
            models.UniqueConstraint(fields=("course", "key"), name="section_key_once_a_course"),
            is_composed("key", table="section"),
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


class Item(CourseScoped):
    """A piece of a course. A module is an item of kind module; its items name it as parent."""

    course_scope = through("course")

    course = models.ForeignKey(Course, on_delete=models.CASCADE, related_name="items")
    key = KeyField(max_length=200)
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
    url = models.CharField(max_length=500, blank=True, validators=[validate_web_address])

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
            days_in_range("assigned_on", "due_on", table="item"),
            is_composed("key", table="item"),
        ]

    def __str__(self) -> str:
        return self.title or self.key


class Learner(CourseScoped):
    """One person over all courses. Learners with the same mailbox share its caps and consent."""

    course_scope = through("enrollments__course")

    external_id = KeyField(max_length=200, unique=True)
    email = MailAddressField(null=True, blank=True)
    # A bad address does not reject the learner. It is kept here for staff to correct.
    unusable_email = models.CharField(
        max_length=254,
        blank=True,
        default="",
        db_default="",
        editable=False,
        help_text="The address in a file, to which no mail can be sent.",
    )
    name = models.CharField(max_length=200, blank=True)
    given_name = models.CharField(
        max_length=100,
        blank=True,
        help_text="The name that messages use. The default is the first word of the name.",
    )
    time_zone = models.CharField(max_length=64, blank=True, validators=[validate_time_zone])
    locale = models.CharField(max_length=16, blank=True)
    traits = TraitsField(default=dict, blank=True)
    # The value in the roster. A change to true counts as an opt-out. A change to false is not
    # consent: a roster cannot consent for somebody who opted out.
    opted_out = models.BooleanField(
        default=False,
        db_default=False,
        help_text="The roster says that the learner wants no messages.",
    )

    class Meta:
        ordering = ("id",)
        constraints: ClassVar = [
            # With ASCII only, lower(email) in SQL is the mailbox (common.addresses.comparable).
            models.CheckConstraint(
                condition=Q(email__isnull=True) | Q(email__regex=r"^[\x01-\x7f]+$"),
                name="learner_email_is_ascii",
                violation_error_message="No mail can be sent to this address.",
            ),
            is_composed("external_id", table="learner"),
            is_object("traits", table="learner"),
        ]
        indexes: ClassVar = [
            models.Index(Lower("email"), name="learner_by_mailbox"),
            models.Index(
                fields=("id",), name="learner_unusable_email", condition=~Q(unusable_email="")
            ),
        ]

    def __str__(self) -> str:
        return self.name or self.external_id


class Enrollment(CourseScoped):
    """A learner in a course: the unit of segments and experiments."""

    course_scope = through("course")

    learner = models.ForeignKey(Learner, on_delete=models.CASCADE, related_name="enrollments")
    course = models.ForeignKey(Course, on_delete=models.CASCADE, related_name="enrollments")
    section = models.ForeignKey(
        Section, null=True, blank=True, on_delete=models.SET_NULL, related_name="enrollments"
    )
    unit_key = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    enrolled_at = models.DateTimeField(validators=[validate_instant])
    # No constraint orders withdrew_at after enrolled_at: real rosters break it.
    withdrew_at = models.DateTimeField(null=True, blank=True, validators=[validate_instant])
    completed_at = models.DateTimeField(null=True, blank=True, validators=[validate_instant])
    last_event_at = models.DateTimeField(null=True, blank=True, editable=False)
    traits = TraitsField(
        default=dict,
        blank=True,
        help_text="Facts that apply to this enrollment, such as earlier attempts. Rules use them"
        " before the learner's traits.",
    )

    class Meta:
        ordering = ("id",)
        constraints: ClassVar = [
            models.UniqueConstraint(fields=("course", "learner"), name="enrollment_once_a_course"),
            instants_in_range(
                "enrolled_at", "withdrew_at", "completed_at", "last_event_at", table="enrollment"
            ),
            is_object("traits", table="enrollment"),
        ]

    def __str__(self) -> str:
        return f"{self.learner} in {self.course}"
