"""The limits on sending: caps, quiet hours, consent and suppressed addresses."""

from typing import TYPE_CHECKING, Any, ClassVar

from django.db import models
from django.db.models import F, Q
from django.db.models.deletion import Collector
from django.db.models.functions import Lower

from activity.models import SITE_ONLY, Course, CourseScoped, Learner, shared_unless, through
from common.addresses import comparable
from experiments.models import Arm
from interventions.models.field_checks import FieldCheckedModel, check
from interventions.models.messages import Category, channel_choices

if TYPE_CHECKING:
    _TextField = models.CharField[str, str]
else:
    _TextField = models.CharField


class CapScope(models.TextChoices):
    EVERYTHING = "everything", "everything"
    CHANNEL = "channel", "one channel"
    CATEGORY = "category", "one category"


class CapWindow(models.TextChoices):
    ROLLING_HOURS = "rolling_hours", "the last N hours"
    ROLLING_DAYS = "rolling_days", "the last N times 24 hours"
    CALENDAR_DAY = "calendar_day", "a calendar day of the learner"
    CALENDAR_WEEK = "calendar_week", "a calendar week (from Monday) of the learner"


class OnExceed(models.TextChoices):
    DROP = "drop", "drop the message"
    DEFER = "defer", "send it when it becomes possible"


class FrequencyCap(FieldCheckedModel):
    """At most `limit` messages per learner within a window.

    Messages of an exempt category (`capped` is false) count too, because the learner got them.
    """

    course_scope = shared_unless("course")

    name = models.CharField(max_length=100)
    scope = models.CharField(max_length=10, choices=CapScope.choices, default=CapScope.EVERYTHING)
    channel = models.CharField(max_length=10, choices=channel_choices, blank=True, default="")
    category = models.ForeignKey(
        Category, null=True, blank=True, on_delete=models.CASCADE, related_name="caps"
    )
    course = models.ForeignKey(
        Course,
        null=True,
        blank=True,
        on_delete=models.CASCADE,
        related_name="frequency_caps",
        help_text="Leave it empty to count messages of all courses.",
    )
    arm = models.ForeignKey(
        Arm,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="frequency_caps",
        # The table has few rows.
        db_index=False,
        help_text="Only for an experiment on the cap itself: it then limits only messages to the "
        "learners of this arm. Choose it before the experiment starts.",
    )
    limit = models.PositiveIntegerField(help_text="The largest number of messages, 1 or more.")
    window = models.CharField(max_length=14, choices=CapWindow.choices)
    length = models.PositiveIntegerField(
        default=1, help_text="The number N of the rolling windows."
    )
    on_exceed = models.CharField(max_length=5, choices=OnExceed.choices, default=OnExceed.DEFER)
    active = models.BooleanField(default=True)

    class Meta:
        ordering = ("id",)
        constraints: ClassVar = [
            check(
                "cap_limit_is_positive",
                Q(limit__gte=1),
                at="limit",
                sentence="A limit of 0 would drop or hold every message. Write 1 or more. "
                "To stop all sending, use “Hold all messages” in the menu.",
            ),
            check(
                "cap_length_is_positive",
                Q(length__gte=1),
                at="length",
                sentence="Write 1 or more for the number of hours or days of the window.",
            ),
            check(
                "cap_scope_names_its_object",
                Q(scope="everything", channel="", category__isnull=True)
                | (Q(scope="channel", category__isnull=True) & ~Q(channel=""))
                | Q(scope="category", channel="", category__isnull=False),
                at="scope",
                sentence="For “one category” choose a category and no channel. For “one channel” "
                "choose a channel and no category. For “everything” choose neither.",
            ),
            check(
                "cap_window_is_known",
                Q(window__in=CapWindow.values),
                at="window",
                sentence="Choose one of the windows in the list.",
            ),
            check(
                "cap_on_exceed_is_known",
                Q(on_exceed__in=OnExceed.values),
                at="on_exceed",
                sentence="Choose what happens to a message over the limit.",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def sentence(self) -> str:
        """Return the cap as a sentence: "At most 1 message in a day, later if more"."""
        where = f" in {self.course}" if self.course else ""
        whom = f" to learners in the arm {self.arm}" if self.arm else ""
        more = "later" if self.on_exceed == OnExceed.DEFER else "dropped"
        return f"At most {self._number_of_messages}{where}{whom} in {self._span}, {more} if more"

    @property
    def _number_of_messages(self) -> str:
        plural = "" if self.limit == 1 else "s"
        if self.category:
            return f"{self.limit} message{plural} of “{self.category}”"
        return f"{self.limit} {self.channel or 'message'}{plural}"

    @property
    def _span(self) -> str:
        hours = self.length * (24 if self.window == CapWindow.ROLLING_DAYS else 1)
        spans = {
            CapWindow.CALENDAR_DAY: "a day",
            CapWindow.CALENDAR_WEEK: "a week from Monday",
            CapWindow.ROLLING_HOURS: f"{hours} hours" if hours > 1 else "an hour",
            CapWindow.ROLLING_DAYS: f"{self.length} days" if self.length > 1 else "24 hours",
        }
        return spans[CapWindow(self.window)]


class QuietHours(FieldCheckedModel):
    """Hours without messages, in the learner's zone. A course's row replaces the site's."""

    course_scope = shared_unless("course")

    course = models.OneToOneField(
        Course, null=True, blank=True, on_delete=models.CASCADE, related_name="quiet_hours"
    )
    begins = models.TimeField()
    ends = models.TimeField(
        help_text="A time before the beginning means a time on the next morning."
    )

    class Meta:
        verbose_name_plural = "quiet hours"
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=("course",), nulls_distinct=False, name="quiet_hours_once"
            ),
            check(
                "quiet_hours_have_a_length",
                ~Q(begins=F("ends")),
                at="ends",
                sentence="The end is the same time as the beginning, which could mean never or "
                "always. Enter another end.",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.begins:%H:%M} to {self.ends:%H:%M}"

    @property
    def sentence(self) -> str:
        """Return the hours as a sentence: "Nothing between 21:00 and 08:00, ..."."""
        return (
            f"Nothing between {self.begins:%H:%M} and {self.ends:%H:%M}, by the learner's own clock"
        )


class ConsentSource(models.TextChoices):
    """The way by which a statement of consent came in."""

    PAGE = "page", "the unsubscribe page"
    ONE_CLICK = "one_click", "the mail program, in one click"
    PREFERENCES = "preferences", "the preference page"
    FEED = "feed", "an event of the platform"
    ROSTER = "roster", "the roster"
    IMPORT = "import", "a list of known opt-outs"
    STAFF = "staff", "staff, for the learner"
    WEBHOOK = "webhook", "the mail provider"


class ConsentState(models.TextChoices):
    IN = "in", "wants it"
    OUT = "out", "does not want it"


def keep_of_mailbox(collector: Collector, field: Any, rows: Any, using: str) -> None:
    """Delete a learner's statements with the learner, but keep those that have a mailbox."""
    models.SET_NULL(collector, field, rows.exclude(mailbox=""), using)
    models.CASCADE(collector, field, rows.filter(mailbox=""), using)


class Consent(CourseScoped):
    """A statement for or against a category, or against all if empty. The latest one counts.

    It holds for the learner, even with another address, and for the mailbox, even with another
    learner. `mailbox` is empty for a learner without address. `learner` is empty for an address
    that no learner has.
    """

    course_scope = through("learner__enrollments__course")

    learner = models.ForeignKey(
        Learner, null=True, blank=True, on_delete=keep_of_mailbox, related_name="consents"
    )
    mailbox = models.CharField(max_length=320, blank=True, default="")
    category = models.ForeignKey(
        Category, null=True, blank=True, on_delete=models.CASCADE, related_name="consents"
    )
    state = models.CharField(max_length=3, choices=ConsentState.choices)
    changed_at = models.DateTimeField()
    source = models.CharField(max_length=50, choices=ConsentSource.choices)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(source__in=ConsentSource.values), name="consent_source_is_known"
            ),
            models.UniqueConstraint(
                fields=("learner", "mailbox", "category"),
                condition=Q(learner__isnull=False),
                nulls_distinct=False,
                name="consent_once",
            ),
            models.CheckConstraint(
                condition=Q(learner__isnull=False) | ~Q(mailbox=""),
                name="consent_is_of_somebody",
            ),
            models.CheckConstraint(
                condition=Q(state__in=ConsentState.values), name="consent_state_is_known"
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=("mailbox",), condition=~Q(mailbox=""), name="consent_by_mailbox")
        ]

    def __str__(self) -> str:
        return f"{self.learner or self.mailbox}: {self.get_state_display()}"


class AddressField(_TextField):
    """An address, always in the form in which addresses are compared."""

    def to_python(self, value: Any) -> Any:
        """Return the comparable address, so that forms find another spelling of a known one."""
        given = super().to_python(value)
        return comparable(given) if isinstance(given, str) else given

    def get_prep_value(self, value: Any) -> Any:
        """Return the comparable address for queries and for saving."""
        return self.to_python(super().get_prep_value(value))


class Suppression(FieldCheckedModel):
    """An address that gets no mail: it bounced permanently, or its owner complained."""

    course_scope = SITE_ONLY

    address = AddressField(max_length=320, unique=True)
    reason = models.CharField(max_length=100)
    created_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            check(
                "suppression_address_is_lower_case",
                Q(address=Lower("address")),
                at="address",
                sentence="Write the address in lower case.",
            )
        ]

    def __str__(self) -> str:
        return self.address
