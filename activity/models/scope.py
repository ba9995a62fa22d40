"""How rows belong to courses. Each model declares it once, and access by course reads it here."""

from dataclasses import dataclass
from functools import reduce
from operator import and_, or_
from typing import ClassVar

from django.db import models
from django.db.models import Q, QuerySet

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
