"""What learners should take next, as a course's staff write it down."""

from typing import ClassVar

from django.db import models
from django.db.models import Q

from activity.models import Course, Item, through
from activity.validators import validate_web_address
from interventions.models.field_checks import FieldCheckedModel, check
from segmentation.models import Segment


class ContentMapping(FieldCheckedModel):
    """The next thing for learners of a segment who are at a module or a topic.

    Without a segment it is for all learners, and without module and topic for all places. The next
    thing is an item of the course, or a title with a link.
    """

    course_scope = through("course")

    course = models.ForeignKey(Course, on_delete=models.CASCADE, related_name="content_mappings")
    segment = models.ForeignKey(
        Segment, null=True, blank=True, on_delete=models.CASCADE, related_name="content_mappings"
    )
    module = models.ForeignKey(
        Item, null=True, blank=True, on_delete=models.CASCADE, related_name="mapped_from"
    )
    topic = models.CharField(max_length=100, blank=True)
    item = models.ForeignKey(
        Item, null=True, blank=True, on_delete=models.CASCADE, related_name="mapped_to"
    )
    title = models.CharField(max_length=300, blank=True)
    url = models.CharField(max_length=500, blank=True, validators=[validate_web_address])
    minutes = models.PositiveIntegerField(null=True, blank=True)

    class Meta:
        ordering = ("course_id", "id")
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=("course", "segment", "module", "topic"),
                nulls_distinct=False,
                name="content_mapping_once_a_place",
            ),
            check(
                "content_mapping_has_one_place",
                Q(module__isnull=True) | Q(topic=""),
                at="topic",
                sentence="Choose a module or a topic, not both.",
            ),
            check(
                "content_mapping_names_a_thing",
                Q(item__isnull=False, title="")
                | (Q(item__isnull=True) & ~Q(title="") & ~Q(url="")),
                at="url",
                sentence="Choose an item of the course, or write a title and a link.",
            ),
        ]

    def __str__(self) -> str:
        return str(self.item) if self.item else self.title
