"""Categories, templates and their texts, and the messages in the staff mailbox."""

from typing import ClassVar

from django.core.validators import RegexValidator
from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower

from activity.models import SHARED, SITE_ONLY, CourseScoped
from interventions.models.field_checks import FieldCheckedModel, check

# A language and what it is narrowed to: de, pt-br, zh-hant.
_LOCALE = r"\A[a-z]{2,3}(-[a-z0-9]{2,8})*\Z"


class InDoubtPolicy(models.TextChoices):
    PREFER_ONCE = "prefer_once", "never send twice, even if it may not have arrived"
    PREFER_DELIVERY = "prefer_delivery", "send again, even if it may have arrived"


class Category(CourseScoped):
    """A kind of message that a learner can want or not want."""

    course_scope = SHARED

    key = models.SlugField(max_length=50, unique=True)
    name = models.CharField(
        max_length=100,
        help_text="Learners read it where they choose their messages. Below it can have names in "
        "other languages.",
    )
    description = models.CharField(
        max_length=300, blank=True, help_text="A sentence for learners about these messages."
    )
    needs_opt_in = models.BooleanField(
        default=False,
        help_text="Only learners who agreed to these messages get them. Without it, all learners "
        "get them who did not refuse.",
    )
    capped = models.BooleanField(
        default=True, help_text="Frequency caps can hold back these messages. They always count."
    )
    quiet = models.BooleanField(default=True, help_text="Quiet hours apply to these messages.")
    required = models.BooleanField(
        default=False,
        help_text="Learners of a holdout get these messages too, such as a change of dates.",
    )
    once_for_all_courses = models.BooleanField(
        default=False,
        db_default=False,
        verbose_name="once for all courses",
        help_text="A learner of several courses gets only one of these messages in 24 hours, from "
        "one of the courses. Those of the others are dropped.",
    )
    in_doubt_policy = models.CharField(
        max_length=15,
        choices=InDoubtPolicy.choices,
        default=InDoubtPolicy.PREFER_ONCE,
        help_text="If the connection breaks off, a message may or may not have arrived. It is sent "
        "again, or it waits until staff say whether it arrived. Webhooks are always sent again, "
        "because their receivers drop repeats.",
    )
    track_clicks = models.BooleanField(
        default=True,
        db_default=True,
        help_text="Links in these messages lead through this site, which notes the click. Only if "
        "the site tracks clicks.",
    )
    list_id = models.CharField(
        max_length=200, blank=True, help_text="The List-ID header, such as tips.example.org."
    )

    class Meta:
        verbose_name_plural = "categories"
        ordering = ("key",)

    def __str__(self) -> str:
        return self.name


class CategoryText(FieldCheckedModel):
    """The name and description of a category in one language, as its learners read them."""

    course_scope = SHARED

    category = models.ForeignKey(Category, on_delete=models.CASCADE, related_name="texts")
    locale = models.CharField(
        max_length=16,
        verbose_name="language",
        validators=[RegexValidator(_LOCALE, "Write a language such as de or pt-BR.")],
        help_text="Such as de or pt-BR.",
    )
    name = models.CharField(max_length=100)
    description = models.CharField(max_length=300, blank=True)

    class Meta:
        ordering = ("category_id", "locale")
        constraints: ClassVar = [
            models.UniqueConstraint(fields=("category", "locale"), name="category_text_once"),
            check(
                "category_text_locale_is_lower_case",
                Q(locale=Lower("locale")),
                at="locale",
                sentence="Write the language in lower case.",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.locale})"


class Channel(models.TextChoices):
    EMAIL = "email"
    TASK = "task", "task for an instructor"
    IN_APP = "in_app", "message on the course site"
    WEBHOOK = "webhook", "webhook"


def channel_choices() -> list[tuple[str, str]]:
    """Return the channel choices. As a function, a new channel needs no migration."""
    return Channel.choices


class MessageTemplate(CourseScoped):
    """The text of a message. All versions are kept, and a delivery names the text it used."""

    course_scope = SHARED

    key = models.SlugField(max_length=100, unique=True)
    name = models.CharField(max_length=200)
    channel = models.CharField(max_length=10, choices=channel_choices, default=Channel.EMAIL)
    category = models.ForeignKey(Category, on_delete=models.PROTECT, related_name="templates")
    version = models.PositiveIntegerField(default=1)

    class Meta:
        ordering = ("key",)

    def __str__(self) -> str:
        return self.name


class TemplateText(CourseScoped):
    """The Liquid subject and body of one version in one locale. Append only."""

    course_scope = SHARED

    template = models.ForeignKey(MessageTemplate, on_delete=models.CASCADE, related_name="texts")
    version = models.PositiveIntegerField(default=1)
    locale = models.CharField(max_length=16, default="en")
    subject = models.CharField(max_length=300)
    body = models.TextField(help_text="Simple HTML with Liquid. Unknown variables are refused.")

    class Meta:
        ordering = ("template_id", "-version", "locale")
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=("template", "version", "locale"), name="template_text_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.template} v{self.version} {self.locale}"


class MailboxMessage(CourseScoped):
    """A message that was kept in the staff mailbox instead of being sent."""

    course_scope = SITE_ONLY

    received_at = models.DateTimeField(help_text="The message's own date.")
    message_id = models.CharField(max_length=998, db_index=True)
    sender = models.CharField(max_length=998)
    # Lower case, so that a search by prefix can use the index.
    recipient = models.CharField(max_length=998, db_index=True)
    subject = models.CharField(max_length=998)
    headers = models.JSONField(default=list)
    text = models.TextField(blank=True)
    html = models.TextField(blank=True)

    class Meta:
        ordering = ("-received_at", "-id")
        indexes: ClassVar = [models.Index(fields=("received_at", "id"), name="mailbox_by_instant")]

    def __str__(self) -> str:
        return self.subject
