"""The imports of spreadsheets that are at work, and how far they are.

An import says so in the name of its database connection, which the server shows to others at once.
A row of a table would be seen only at its commit, and a dry run commits nothing. The name ends with
the connection, so an import that was killed is not taken for one at work.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from django.db import Error, connection

from activity.access import CommandLine, Viewer, for_user
from activity.models import Course

_NAME = "nudgelab import"
_TELL = "SELECT set_config('application_name', %s, false)"
_RUNNING = """
SELECT application_name FROM pg_stat_activity
WHERE datname = current_database() AND application_name LIKE %s
"""


@dataclass(frozen=True)
class RunningImport:
    """An import into the course: the rows that are done, and all rows."""

    course: Course
    done: int
    of: int


@contextmanager
def telling_progress(viewer: Viewer, course: Course, *, of: int) -> Iterator[Callable[[int], None]]:
    """Yield a function that tells other connections how many rows of the import are done."""
    try:
        yield lambda done: _tell(f"{_NAME} {_number(viewer)} {course.pk} {done} {of}")
    finally:
        # A connection that was lost has lost its name too.
        with suppress(Error), connection.cursor() as cursor:
            cursor.execute("RESET application_name")


def _number(viewer: Viewer) -> int:
    return 0 if isinstance(viewer, CommandLine) or viewer.pk is None else viewer.pk


def _tell(name: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(_TELL, [name])


def running_imports(viewer: Viewer) -> list[RunningImport]:
    """Return the viewer's imports that are at work, the furthest one per course. Two queries."""
    with connection.cursor() as cursor:
        cursor.execute(_RUNNING, [f"{_NAME} {_number(viewer)} %"])
        numbers = sorted(list(map(int, name.split()[3:])) for (name,) in cursor.fetchall())
    furthest = {course: (done, of) for course, done, of in numbers}
    seen = for_user(Course.objects.filter(pk__in=furthest), viewer)
    return [RunningImport(course, *furthest[course.pk]) for course in seen]
