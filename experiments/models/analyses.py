"""The fields of an experiment that say how it will be judged."""

from django.contrib.postgres.fields import ArrayField
from django.db import models

from experiments.analyses import (
    USUAL_PRIMARY,
    outcome_choices,
    usual_guardrails,
    usual_outcomes,
)


class PlannedAnalysis(models.Model):
    """The outcomes and looks of a draft. The protocol locks them at the start."""

    primary_outcome = models.CharField(
        max_length=50,
        choices=outcome_choices,
        default=USUAL_PRIMARY,
        db_default=USUAL_PRIMARY,
        help_text="The one outcome that decides. Choose it before the start, not afterwards.",
    )
    other_outcomes = ArrayField(
        models.CharField(max_length=50, choices=outcome_choices),
        default=usual_outcomes,
        blank=True,
        help_text="They are shown too. The more of them, the larger a difference must be to count.",
    )
    guardrails = models.TextField(
        blank=True,
        default=usual_guardrails,
        help_text="What must not get worse, one in a line, with the largest harm that you accept: "
        "“unsubscribed_7d 0.02” accepts two points more.",
    )
    smallest_lift = models.DecimalField(
        max_digits=8,
        decimal_places=4,
        null=True,
        blank=True,
        verbose_name="the smallest difference that matters",
        help_text="In the unit of the primary outcome: 0.05 is five points of a share. If the "
        "experiment rules it out, the report says so.",
    )
    expected_learners = models.PositiveIntegerField(
        null=True,
        blank=True,
        help_text="How many learners will be drawn in all. It makes the interval for every day "
        "narrowest there; another number is no error.",
    )
    looks = models.TextField(
        blank=True,
        default="",
        db_default="",
        verbose_name="planned looks",
        help_text="The dates on which you want to decide, one in a line, such as 2026-03-01. "
        "Early dates take a large difference. Without dates, the report compares at the end.",
    )
    subgroups = models.TextField(
        blank=True,
        default="",
        db_default="",
        verbose_name="parts of the learners",
        help_text="Traits by which the report is split, one in a line. Parts are only a hint.",
    )

    class Meta:
        abstract = True
