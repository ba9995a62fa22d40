"""Holdouts: a share of the learners that gets no messages for a time."""

from typing import ClassVar

from django.db import models
from django.db.models import F, Q

from activity.models import Course, shared_unless
from experiments.models import random_seed
from interventions.models.field_checks import FieldCheckedModel, check

LARGEST_SHARE = 0.5


class Holdout(FieldCheckedModel):
    """A share of the learners that gets no messages, so that the whole programme can be measured.

    A hash of the seed and the learner's id draws them, so a draw needs no row and never changes.
    Once the holdout has begun, only its end and its name may change.
    """

    course_scope = shared_unless("course")

    name = models.CharField(max_length=100)
    course = models.ForeignKey(
        Course,
        null=True,
        blank=True,
        on_delete=models.CASCADE,
        related_name="holdouts",
        help_text="Leave it empty to hold the same learners out of all courses.",
    )
    share = models.DecimalField(
        max_digits=5,
        decimal_places=4,
        default="0.05",
        help_text="The share of the learners that gets no messages: 0.05 is one learner in 20.",
    )
    seed = models.CharField(
        max_length=100,
        default=random_seed,
        help_text="Any text. The same text and share draw the same learners again.",
    )
    starts_at = models.DateTimeField(verbose_name="from")
    ends_at = models.DateTimeField(
        verbose_name="until",
        null=True,
        blank=True,
        help_text="Leave it empty to end it later.",
    )

    class Meta:
        ordering = ("-starts_at", "-id")
        constraints: ClassVar = [
            check(
                "holdout_share_leaves_most",
                Q(share__gt=0, share__lte=LARGEST_SHARE),
                at="share",
                sentence="Write a share above 0 and up to 0.5, such as 0.05 for one in 20.",
            ),
            check(
                "holdout_ends_after_it_starts",
                Q(ends_at__isnull=True) | Q(ends_at__gt=F("starts_at")),
                at="ends_at",
                sentence="The end must come after the beginning.",
            ),
            check(
                "holdout_has_a_seed",
                ~Q(seed=""),
                at="seed",
                sentence="Write any text as the seed, or keep the one that was offered.",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def sentence(self) -> str:
        """Return the holdout as a sentence."""
        where = f" of {self.course}" if self.course else ""
        return (
            f"{float(self.share):.2%} of the learners{where} receive no messages, so that the "
            "whole programme can be measured"
        )
