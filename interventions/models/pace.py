"""How fast a channel may send, as all workers share it."""

from typing import ClassVar

from django.db import models
from django.db.models import Q

from activity.models import SITE_ONLY, CourseScoped


class ChannelPace(CourseScoped):
    """The pace of a channel after the other side asked for less, and its limit per second.

    A channel without a row goes at full pace.
    """

    course_scope = SITE_ONLY

    channel = models.CharField(max_length=10, unique=True)
    # Nothing goes out before this instant.
    resumes_at = models.DateTimeField(null=True, blank=True)
    # How often in a row the other side asked for less.
    slowed = models.PositiveSmallIntegerField(default=0)
    # At most so many messages at once for each worker. It grows again by one with each loop.
    at_once = models.PositiveSmallIntegerField(null=True, blank=True)
    # When the messages sent so far are within the limit per second.
    even_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(at_once__isnull=True) | Q(at_once__gt=0), name="pace_is_not_zero"
            )
        ]

    def __str__(self) -> str:
        return self.channel
