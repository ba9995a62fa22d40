"""What many deliveries share, read once for all of them: cadences, steps, categories, courses."""

from collections.abc import Iterable, Sequence
from typing import Generic, TypeVar

from django.db.models import Model, QuerySet

from activity.models import Course
from interventions.models import Cadence, Category, Delivery, Step

Row = TypeVar("Row", bound=Model)


class _Shelf(Generic[Row]):
    """Rows by id, read when first asked for."""

    def __init__(self, rows: QuerySet[Row]) -> None:
        self._rows = rows
        self._held: dict[int, Row] = {}

    def get(self, ids: Iterable[int]) -> dict[int, Row]:
        """Return all rows held, the named ones among them."""
        missing = set(ids) - self._held.keys()
        if missing:
            self._held |= self._rows.in_bulk(missing)
        return self._held


class Catalogue:
    """A view of the shared rows at one moment; make a new one to see later changes."""

    def __init__(self) -> None:
        self._cadences = _Shelf(Cadence.objects.select_related("segment"))
        self._steps = _Shelf(Step.objects.select_related("template"))
        self._categories = _Shelf(Category.objects.all())
        self._courses = _Shelf(Course.objects.all())

    def attach(self, deliveries: Sequence[Delivery]) -> None:
        """Give the deliveries, which have their runs and enrollments, all that these share.

        One query for each kind of row that is not held yet.
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
