"""How rows belong to courses. Each model declares it once, and access by course reads it here."""

from dataclasses import dataclass
from functools import reduce
from operator import and_, or_
from typing import Any, ClassVar

from django.db import models
from django.db.models import Q, QuerySet
from django.utils.timezone import get_current_timezone_name

from activity.texts import with_courses

_NO_ROW = Q(pk__in=[])


@dataclass(frozen=True)
class CourseScope:
    """The lookups that lead from a model to its courses, such as "enrollment__course".

    `shared_without_course`: a row that leads to no course applies to every course.
    Otherwise only users with access to all courses see such a row.
    """

    paths: tuple[str, ...] = ()
    shared_without_course: bool = False

    def within(self, courses: QuerySet["models.Model"]) -> Q:
        """Return the condition for rows of any of the courses."""
        found = reduce(or_, (Q((f"{path}__in", courses)) for path in self.paths), _NO_ROW)
        return found | self._of_no_course() if self.shared_without_course else found

    def _of_no_course(self) -> Q:
        return reduce(and_, (Q((f"{path}__isnull", True)) for path in self.paths), ~_NO_ROW)


def through(*paths: str) -> CourseScope:
    """Return the scope of rows that always belong to a course."""
    return CourseScope(paths)


def shared_unless(*paths: str) -> CourseScope:
    """Return the scope of rows that apply to every course unless a path leads to one."""
    return CourseScope(paths, shared_without_course=True)


# For models with the same rows for every course and no data about a person.
SHARED = shared_unless()
# For models of the whole site: their rows name no course and may be about a person.
SITE_ONLY = CourseScope()


class CourseScoped(models.Model):
    """A model that declares how its rows belong to courses."""

    course_scope: ClassVar[CourseScope]

    class Meta:
        abstract = True

    def named(self, name: str, *, otherwise: str = "") -> str:
        """Return the name with the courses that `activity.access.named` loaded with the row.

        It runs no query: a list would need one per row, and it would show courses that the reader
        of the page may not see.
        """
        courses = self._loaded()
        titles = [str(course) for course in courses]
        if otherwise and any(getattr(course, "is_shared", False) for course in courses):
            titles[-1] = f"{titles[-1]}, {otherwise}"
        return with_courses(name, titles, otherwise=otherwise)

    @property
    def shown_zone(self) -> str:
        """Return the zone of the courses loaded with the row, or else that of the whole page.

        The page is in the zone of the chosen course, or in UTC. It also decides for courses of
        several zones.
        """
        zones = {course.time_zone for course in self._loaded()}
        return zones.pop() if len(zones) == 1 else get_current_timezone_name()

    def _loaded(self) -> list[Any]:
        found = (loaded_courses(self, path) for path in self.course_scope.paths)
        return next((each for each in found if each is not None), [])


def loaded_courses(row: models.Model, path: str) -> list[Any] | None:
    """Return the rows at the end of the path if they were loaded with the row, else None."""
    first, _, rest = path.partition("__")
    field: Any = row._meta.get_field(first)
    if field.many_to_many:
        loaded = getattr(row, "_prefetched_objects_cache", {})
        return list(loaded[first]) if first in loaded else None
    target = field.get_cached_value(row, default=None)
    return loaded_courses(target, rest) if target is not None and rest else None
