"""Exclusion layers: sets of experiments that share no learner, and their seeds."""

from secrets import token_hex
from typing import ClassVar

from django.db import models

from activity.models import SHARED, CourseScoped


def random_seed() -> str:
    """Return a seed that no other experiment has."""
    return token_hex(8)


class ExclusionLayer(CourseScoped):
    """A set of experiments of which each learner is in one at most, over all courses."""

    course_scope = SHARED

    key = models.SlugField(max_length=100, unique=True)
    name = models.CharField(max_length=200)
    seed = models.CharField(
        max_length=100,
        default=random_seed,
        editable=False,
        help_text="It decides which part of the layer a learner belongs to.",
    )

    class Meta:
        ordering = ("key",)
        verbose_name = "exclusion layer"
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=("seed",),
                name="exclusion_layer_seed_once",
                violation_error_message="Another layer has this seed, so both would divide the "
                "learners alike.",
            ),
        ]

    def __str__(self) -> str:
        return self.name
