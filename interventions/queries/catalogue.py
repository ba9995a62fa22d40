"""Rows that many deliveries share, read once: cadences, steps, categories and courses."""

from collections.abc import Iterable, Sequence
from typing import Generic, TypeVar

from django.db.models import Model, QuerySet

from activity.models import Course
from interventions.models import Cadence, Category, Delivery, Step

Row = TypeVar("Row", bound=Model)


class _RowCache(Generic[Row]):
    """Rows by id, read on first use."""

    def __init__(self, rows: QuerySet[Row]) -> None:
        self._rows = rows
        self._held: dict[int, Row] = {}

    def get(self, ids: Iterable[int]) -> dict[int, Row]:
        """Return all cached rows by id, including these ids."""
        missing = set(ids) - self._held.keys()
        if missing:
            self._held |= self._rows.in_bulk(missing)
        return self._held


class Catalogue:
    """A snapshot of the shared rows. Create a new one to see later changes."""

    def __init__(self) -> None:
        self._cadences = _RowCache(Cadence.objects.select_related("segment"))
        self._steps = _RowCache(Step.objects.select_related("template"))
        self._categories = _RowCache(Category.objects.all())
        self._courses = _RowCache(Course.objects.all())

    def attach(self, deliveries: Sequence[Delivery]) -> None:
        """Set the shared rows on the deliveries, whose runs and enrollments must be loaded.

        It takes one query per kind of row that is not cached yet.
        """
        cadences = self._cadences.get(each.run.cadence_id for each in deliveries)
        steps = self._steps.get(each.step_id for each in deliveries)
        categories = self._categories.get(each.category_id for each in deliveries)
        courses = self._courses.get(each.enrollment.course_id for each in deliveries)
        for delivery in deliveries:
            delivery.run.cadence = cadences[delivery.run.cadence_id]
            delivery.step = steps[delivery.step_id]
            delivery.step.cadence = delivery.run.cadence
            delivery.category = categories[delivery.category_id]
            delivery.enrollment.course = courses[delivery.enrollment.course_id]
