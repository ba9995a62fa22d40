"""The states of an experiment, and other choices of its fields."""

from django.db import models


class ExperimentStatus(models.TextChoices):
    DRAFT = "draft", "draft: not started"
    CHECKED = "checked", "checked: not started"
    RUNNING = "running", "running"
    STOPPED = "stopped", "stopped: no more learners are drawn"
    ARCHIVED = "archived", "archived: over and put away"

    @property
    def may_be_edited(self) -> bool:
        """Return whether nobody can have been drawn yet."""
        return self in (ExperimentStatus.DRAFT, ExperimentStatus.CHECKED)


class Ending(models.TextChoices):
    STAFF = "staff", "somebody stopped it"
    DATE = "date", "its end date has come"
    LEARNERS = "learners", "it has its number of learners"


class BlockSizes(models.TextChoices):
    VARYING = "varying", "varying, so that nobody can guess the next arm"
    SMALLEST = "smallest", "as small as possible"
    DOUBLE = "double", "twice as large"

    @property
    def multiples(self) -> tuple[int, ...]:
        """Return the sizes in multiples of the smallest block."""
        sizes = {BlockSizes.VARYING: (1, 2), BlockSizes.SMALLEST: (1,), BlockSizes.DOUBLE: (2,)}
        return sizes[self]
