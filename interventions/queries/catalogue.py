"""What many deliveries share, read once for all of them: cadences, steps, categories, courses."""

from collections.abc import Iterable, Sequence
from typing import Generic, TypeVar

from django.db.models import Model, QuerySet

from activity.models import Course, Enrollment
from interventions.models import Cadence, Category, Delivery, Run, Step

Row = TypeVar("Row", bound=Model)

_ENROLLMENTS = "SELECT * FROM activity_enrollment WHERE id = ANY(%(ids)s)"


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

    def attach(self, deliveries: Sequence[Delivery], runs: Iterable[Run]) -> None:
        """Give the deliveries their runs, enrollments, and all that these share.

        One query for the enrollments, and one for each kind of row that is not held yet.
        """
        by_id = {run.pk: run for run in runs}
        cadences = self._cadences.get(run.cadence_id for run in by_id.values())
        for run in by_id.values():
            run.cadence = cadences[run.cadence_id]
        enrollments = self._enrollments(each.enrollment_id for each in deliveries)
        steps = self._steps.get(each.step_id for each in deliveries)
        categories = self._categories.get(each.category_id for each in deliveries)
        for delivery in deliveries:
            delivery.run = by_id[delivery.run_id]
            delivery.step = steps[delivery.step_id]
            delivery.category = categories[delivery.category_id]
            delivery.enrollment = enrollments[delivery.enrollment_id]

    def _enrollments(self, ids: Iterable[int]) -> dict[int, Enrollment]:
        rows = Enrollment.objects.raw(_ENROLLMENTS, {"ids": list(set(ids))})
        found = {enrollment.pk: enrollment for enrollment in rows}
        courses = self._courses.get(each.course_id for each in found.values())
        for enrollment in found.values():
            enrollment.course = courses[enrollment.course_id]
        return found
