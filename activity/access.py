"""Decide by course which rows a user may see. Pages, exports and commands call `for_user`."""

from typing import Any, TypeVar, cast

from django.contrib.admin.utils import lookup_spawns_duplicates
from django.contrib.auth.models import AnonymousUser, User
from django.db.models import (
    Count,
    Exists,
    Model,
    OuterRef,
    Prefetch,
    QuerySet,
)

from activity.models import Course, CourseScoped

Rows = TypeVar("Rows", bound=CourseScoped)


class CommandLine:
    """The user of a management command, with the same access as the database's own account."""


COMMAND_LINE = CommandLine()
Viewer = User | AnonymousUser | CommandLine


def courses_of(user: Viewer) -> QuerySet[Course] | None:
    """Return the courses to which the user has access. None means all courses.

    Rights by course do not exist yet, so every user has access to all courses. The views decide
    who may open them at all.
    """
    del user
    return None


def for_user(rows: QuerySet[Rows], user: Viewer) -> QuerySet[Rows]:
    """Return those of the rows that the user may see."""
    courses = courses_of(user)
    return rows if courses is None else in_courses(rows, courses)


def viewable(rows: QuerySet[Rows], user: User | AnonymousUser) -> QuerySet[Rows]:
    """Return those of the rows that the user may see; none without the right to view the model."""
    meta = rows.model._meta
    may_view = user.has_perm(f"{meta.app_label}.view_{meta.model_name}")
    return for_user(rows, user) if may_view else rows.none()


def named(rows: QuerySet[Rows], user: Viewer) -> QuerySet[Rows]:
    """Load the courses that the names of the rows carry, as far as the user may see them.

    It takes a query for the courses of all rows, and one for each table on the way to them that
    was not selected with the rows.
    """
    scope, meta = rows.model.course_scope, rows.model._meta
    shared = scope.paths if scope.shared_without_course else ()
    several = [path for path in shared if lookup_spawns_duplicates(meta, path)]
    courses = for_user(Course.objects.order_by("-starts_on", "key"), user)
    loads = [Prefetch(path, _with_sharing(courses, rows.model, path)) for path in several]
    return rows.prefetch_related(*loads)


def _with_sharing(courses: QuerySet[Course], model: type[Model], path: str) -> QuerySet[Course]:
    """Note on each course whether several rows at the last step of the path belong to it.

    If a course has two playbooks, it may have two segments of one name.
    """
    *way, last = path.split("__")
    for name in way:
        model = cast(type[Model], model._meta.get_field(name).related_model)
    field: Any = model._meta.get_field(last)
    to_course = field.m2m_reverse_field_name()
    links = field.remote_field.through._default_manager.filter(**{to_course: OuterRef("pk")})
    counted = links.order_by().values(to_course).annotate(number=Count("pk"))
    return courses.annotate(is_shared=Exists(counted.filter(number__gt=1)))


def in_courses(rows: QuerySet[Rows], courses: QuerySet[Course]) -> QuerySet[Rows]:
    """Return the rows that belong to any of the courses, and those that all courses share."""
    scope = rows.model.course_scope
    if not any(lookup_spawns_duplicates(rows.model._meta, path) for path in scope.paths):
        return rows.filter(scope.within(courses))
    # A join would repeat a row for each of its courses.
    found = rows.model._base_manager.filter(scope.within(courses))
    return rows.filter(pk__in=found.order_by().values("pk"))


def in_course(rows: QuerySet[Rows], course_id: int) -> QuerySet[Rows]:
    """Return the rows that belong to the course, and those that all courses share."""
    return in_courses(rows, Course.objects.filter(pk=course_id))
