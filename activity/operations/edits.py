"""Rebuild and pull a course after an edit, even if the process that edited it has died."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime

from django.db import connection
from django.db.models import F
from django.db.models.functions import Greatest

from activity.models import Course, DueCause
from activity.operations.due import pull_course
from activity.operations.read_models import rebuild_read_models

# The first number of our advisory locks; the second is the course's id.
_LOCK_SPACE = 20_250


def count_edits(course_ids: Iterable[int]) -> dict[int, int]:
    """Count an edit of each course in the open transaction, and return its number by course.

    From the commit on, `settle_edits` finds the course until somebody has settled it.
    """
    numbers = {}
    # In order: two imports that edit the same courses must not wait for each other in a ring.
    for course_id in sorted(course_ids):
        course = Course.objects.filter(pk=course_id)
        course.update(edits=F("edits") + 1)
        numbers[course_id] = course.values_list("edits", flat=True).get()
    return numbers


def settle_edits(*, now: datetime) -> None:
    """Rebuild and pull the courses that somebody edited and did not settle.

    Leaves alone what another process is settling. Call it outside a transaction: it works in
    chunks.
    """
    edited = Course.objects.filter(settled_edits__lt=F("edits")).order_by("pk")
    for course_id in list(edited.values_list("pk", flat=True)):
        with _alone(course_id) as alone:
            if alone:
                _settle(course_id, rebuild=True, now=now)


def settle_edit(course_id: int, number: int, *, rebuild: bool, now: datetime) -> None:
    """Pull the course after its edit of this number, and rebuild it first where that is asked.

    Where another process is settling the course, this edit is left to the next `settle_edits`.
    """
    with _alone(course_id) as alone:
        if alone:
            before = Course.objects.values_list("edits", "settled_edits").get(pk=course_id)
            # Other edits are open too, and theirs may be the kind that needs a rebuild.
            others = before != (number, number - 1)
            _settle(course_id, rebuild=rebuild or others, now=now)


def _settle(course_id: int, *, rebuild: bool, now: datetime) -> None:
    course = Course.objects.filter(pk=course_id)
    # Read before anything is done: an edit that comes meanwhile stays open.
    number = course.values_list("edits", flat=True).get()
    if rebuild:
        rebuild_read_models(course_id=course_id)
    pull_course(course_id, at=now, cause=DueCause.EDIT)
    course.update(settled_edits=Greatest("settled_edits", number))


@contextmanager
def _alone(course_id: int) -> Iterator[bool]:
    """Hold the course for settling during the block; False if another process holds it."""
    # A lock of the session: no row lock could outlast the transactions of the chunks, and this one
    # goes with its process. Without it, each beat would begin a rebuild that is still running.
    key = [_LOCK_SPACE, course_id % 2**31]
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s, %s)", key)
        alone = bool(cursor.fetchone()[0])
    try:
        yield alone
    finally:
        if alone:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(%s, %s)", key)
