"""Messages that a course site shows to its learners, and the sites that may fetch them."""

import uuid
from typing import ClassVar

from django.db import models
from django.db.models import Q

from activity.models import Course, CourseScoped, Enrollment, Learner, shared_unless, through
from interventions.models.ledger import Delivery
from interventions.models.secrets import SharedSecret


class CourseSite(SharedSecret):
    """A site whose server signs tokens for its learners. A course without one uses the shared one.

    `key` names the site in the header of each token. While the old secret is valid, tokens may be
    signed with either.
    """

    course_scope = shared_unless("course")

    key = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    name = models.CharField(max_length=100)
    course = models.ForeignKey(
        Course,
        null=True,
        blank=True,
        on_delete=models.CASCADE,
        related_name="course_sites",
        help_text="Leave it empty for a site that shows all courses without one of their own.",
    )
    origins = models.JSONField(
        default=list,
        help_text="The addresses of the pages that show the messages, one a line, such as "
        "https://courses.example.org.",
    )
    active = models.BooleanField(default=True)

    class Meta:
        ordering = ("course_id", "id")
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=("course",),
                nulls_distinct=False,
                name="course_site_once_a_course",
                violation_error_message="There is a site for it already. Change that one.",
            )
        ]

    def __str__(self) -> str:
        return self.named(self.name)


class InAppMessage(CourseScoped):
    """One message on the course site. It is no longer shown when it has expired or is dismissed."""

    course_scope = through("enrollment__course")

    delivery = models.OneToOneField(Delivery, on_delete=models.CASCADE, related_name="in_app")
    # A copy from the enrollment, so that the list of a learner is one look into an index.
    learner = models.ForeignKey(
        Learner, on_delete=models.CASCADE, related_name="in_app_messages", db_index=False
    )
    enrollment = models.ForeignKey(Enrollment, on_delete=models.CASCADE, related_name="+")
    title = models.CharField(max_length=300)
    html = models.TextField()
    text = models.TextField()
    link_url = models.CharField(max_length=2000, blank=True, default="")
    link_text = models.CharField(max_length=300, blank=True, default="")
    sent_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    seen_at = models.DateTimeField(null=True, blank=True)
    dismissed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = "in-app message"
        indexes: ClassVar = [
            models.Index(
                fields=("learner", "expires_at"),
                condition=Q(dismissed_at__isnull=True),
                name="in_app_shown",
            ),
            models.Index(fields=("learner", "sent_at"), name="in_app_of_learner"),
        ]

    def __str__(self) -> str:
        return self.title
