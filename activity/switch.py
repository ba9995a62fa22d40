"""The course to which a user limits the lists. The session keeps it.

It only hides rows of other courses from lists. `activity.access` decides what a user may see.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TypeVar

from django.contrib.sessions.backends.base import SessionBase
from django.db.models import QuerySet
from django.http import HttpRequest

from activity.access import in_course
from activity.models import Course, CourseScoped

Rows = TypeVar("Rows", bound=CourseScoped)
SESSION_KEY = "course"


@dataclass(frozen=True)
class ChosenCourse:
    """What pages show of the course. With it in the session, no page needs a query."""

    pk: int
    title: str
    time_zone: str


def choose_course(session: SessionBase, course: Course | None) -> None:
    """Limit the lists of this session to the course. None shows all courses again."""
    session.pop(SESSION_KEY, None)
    if course is not None:
        chosen = ChosenCourse(course.pk, course.title, course.time_zone)
        session[SESSION_KEY] = asdict(chosen)


def chosen_course(request: HttpRequest) -> ChosenCourse | None:
    """Return the course to which the user limits the lists, or None."""
    kept = request.session.get(SESSION_KEY)
    # A session may be of a release that kept other fields.
    if not isinstance(kept, Mapping) or set(kept) != set(ChosenCourse.__dataclass_fields__):
        return None
    return ChosenCourse(**kept)


def of_chosen(rows: QuerySet[Rows], request: HttpRequest) -> QuerySet[Rows]:
    """Return the rows of the chosen course. Rows of a model without courses are all returned."""
    chosen = chosen_course(request)
    scope = rows.model.course_scope
    if chosen is None or not scope.paths:
        return rows
    return in_course(rows, chosen.pk)
