"""The arms of experiments."""

from typing import ClassVar

from django.db import models
from django.db.models import Q

from activity.models import CourseScoped, shared_unless
from experiments.models.experiments import Experiment

# The constraints show these sentences for a single arm, and the form set for all arms of a page.
ARM_KEY_ONCE = "Another arm of the experiment has this key. Give each arm its own key."
ARM_POSITION_ONCE = "Another arm of the experiment has this position. Number the arms 0, 1, 2."
ARM_ONE_CONTROL = "Exactly one arm is the control. Remove the tick from the other arms."


class Arm(CourseScoped):
    """One of the things compared. Exactly one arm of an experiment is the control."""

    course_scope = shared_unless(
        "experiment__segment__playbook__courses", "experiment__playbook__courses"
    )

    experiment = models.ForeignKey(Experiment, on_delete=models.CASCADE, related_name="arms")
    key = models.SlugField(max_length=50)
    name = models.CharField(max_length=100, blank=True)
    weight = models.DecimalField(max_digits=6, decimal_places=4)
    is_control = models.BooleanField(default=False)
    # The start of the arm's range of buckets depends on the order, so the order is stored.
    position = models.PositiveSmallIntegerField(default=0)

    class Meta:
        ordering = ("experiment_id", "position", "id")
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=("experiment", "key"),
                name="arm_key_once",
                violation_error_message=ARM_KEY_ONCE,
            ),
            models.UniqueConstraint(
                fields=("experiment", "position"),
                name="arm_position_once",
                violation_error_message=ARM_POSITION_ONCE,
            ),
            models.UniqueConstraint(
                fields=("experiment",),
                condition=Q(is_control=True),
                name="arm_one_control",
                violation_error_message=ARM_ONE_CONTROL,
            ),
            models.CheckConstraint(
                condition=Q(weight__gte=0, weight__lte=1),
                name="arm_weight_is_a_share",
                violation_error_message="A weight is a share. Write a number from 0 to 1.",
            ),
        ]

    def __str__(self) -> str:
        # In a list of choices, every experiment has an arm "control".
        is_loaded = Arm._meta.get_field("experiment").is_cached(self)
        return f"{self.own_name} of {self.experiment}" if is_loaded else self.own_name

    @property
    def own_name(self) -> str:
        """Return the name beside that of the experiment: the key where there is none."""
        return self.name or self.key
