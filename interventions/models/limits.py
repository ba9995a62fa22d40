"""What limits sending: caps, quiet hours, consent, suppressed addresses, the site's pause."""

from typing import TYPE_CHECKING, Any, ClassVar

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Lower

from activity.models import Course, Learner
from interventions.addresses import comparable
from interventions.models.messages import Category, Channel

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


class FrequencyCap(models.Model):
    """At most `limit` messages to a learner within a window.

    Messages of categories that no cap holds back (`capped` false) count: the learner got them.
    """

    name = models.CharField(max_length=100)
    scope = models.CharField(max_length=10, choices=CapScope.choices, default=CapScope.EVERYTHING)
    channel = models.CharField(max_length=10, choices=Channel.choices, blank=True, default="")
    category = models.ForeignKey(
        Category, null=True, blank=True, on_delete=models.CASCADE, related_name="caps"
    )
    course = models.ForeignKey(
        Course,
        null=True,
        blank=True,
        on_delete=models.CASCADE,
        related_name="frequency_caps",
        help_text="Empty: messages of all courses count.",
    )
    limit = models.PositiveIntegerField()
    window = models.CharField(max_length=14, choices=CapWindow.choices)
    length = models.PositiveIntegerField(default=1, help_text="N, for the rolling windows.")
    on_exceed = models.CharField(max_length=5, choices=OnExceed.choices, default=OnExceed.DEFER)
    active = models.BooleanField(default=True)

    class Meta:
        ordering = ("id",)
        constraints: ClassVar = [
            models.CheckConstraint(condition=Q(length__gte=1), name="cap_length_is_positive"),
            models.CheckConstraint(
                condition=Q(scope="everything", channel="", category__isnull=True)
                | (Q(scope="channel", category__isnull=True) & ~Q(channel=""))
                | Q(scope="category", channel="", category__isnull=False),
                name="cap_scope_names_its_object",
            ),
            models.CheckConstraint(
                condition=Q(window__in=CapWindow.values), name="cap_window_is_known"
            ),
            models.CheckConstraint(
                condition=Q(on_exceed__in=OnExceed.values), name="cap_on_exceed_is_known"
            ),
        ]

    def __str__(self) -> str:
        return self.name


class QuietHours(models.Model):
    """When nobody is messaged, in the learner's zone. A course's row replaces the site's."""

    course = models.OneToOneField(
        Course, null=True, blank=True, on_delete=models.CASCADE, related_name="quiet_hours"
    )
    begins = models.TimeField()
    ends = models.TimeField(help_text="Before the beginning: the next morning.")

    class Meta:
        verbose_name_plural = "quiet hours"
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=("course",), nulls_distinct=False, name="quiet_hours_once"
            ),
            models.CheckConstraint(
                condition=~Q(begins=F("ends")), name="quiet_hours_have_a_length"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.begins:%H:%M} to {self.ends:%H:%M}"


class ConsentState(models.TextChoices):
    IN = "in", "wants it"
    OUT = "out", "does not want it"


class Consent(models.Model):
    """What a learner said of a category, or (category empty) of all. The last word counts."""

    learner = models.ForeignKey(Learner, on_delete=models.CASCADE, related_name="consents")
    category = models.ForeignKey(
        Category, null=True, blank=True, on_delete=models.CASCADE, related_name="consents"
    )
    state = models.CharField(max_length=3, choices=ConsentState.choices)
    changed_at = models.DateTimeField()
    source = models.CharField(max_length=50)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=("learner", "category"), nulls_distinct=False, name="consent_once"
            ),
            models.CheckConstraint(
                condition=Q(state__in=ConsentState.values), name="consent_state_is_known"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.learner}: {self.get_state_display()}"


class AddressField(_TextField):
    """An address in the one form in which addresses are compared, however it was typed."""

    def to_python(self, value: Any) -> Any:
        """Return the address as forms are to check it: a second spelling of it is no second row."""
        given = super().to_python(value)
        return comparable(given) if isinstance(given, str) else given

    def get_prep_value(self, value: Any) -> Any:
        """Return the address as every query and every way of saving is to use it."""
        return self.to_python(super().get_prep_value(value))


class Suppression(models.Model):
    """An address that must not be written to: it bounced for good, or its owner complained."""

    address = AddressField(max_length=320, unique=True)
    reason = models.CharField(max_length=100)
    created_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(address=Lower("address")), name="suppression_address_is_lower_case"
            )
        ]

    def __str__(self) -> str:
        return self.address


class SitePause(models.Model):
    """One row: whether all sending is paused."""

    id = models.SmallIntegerField(primary_key=True, default=1)
    paused = models.BooleanField(default=False)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(condition=Q(id=1), name="site_pause_is_one_row")
        ]

    def __str__(self) -> str:
        return "all sending is paused" if self.paused else "sending"
