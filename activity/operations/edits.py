"""Rebuild and pull a course after an edit, even if the process that made the edit has died."""

import time
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime

from django.db import connection, transaction
from django.db.models import F
from django.db.models.functions import Greatest

from activity.models import Course, DueCause, Enrollment, Settling
from activity.operations.due import pull_course, pull_due
from activity.operations.read_models import rebuild_enrollments

# The first number of our advisory locks; the second is the course's id.
_LOCK_SPACE = 20_250
BATCH_SIZE = 2_000


def count_edits(course_ids: Iterable[int]) -> dict[int, int]:
    """Count an edit of each course in the open transaction, and return its number by course.

    After the commit, `settle_edits` finds the course until its edits are settled.
    """
    numbers = {}
    # In order, so that two imports that edit the same courses cannot deadlock.
    for course_id in sorted(course_ids):
        course = Course.objects.filter(pk=course_id)
        course.update(edits=F("edits") + 1)
        numbers[course_id] = course.values_list("edits", flat=True).get()
    return numbers


def settle_edits(
    *, now: datetime, budget_seconds: float = 30.0, batch_size: int = BATCH_SIZE
) -> None:
    """Rebuild and pull the courses that have unsettled edits, a batch at a time.

    Each batch is committed. The next call continues when the time is over or the process has died.
    Courses that another process is settling are skipped. Call it outside a transaction.
    """
    deadline = time.monotonic() + budget_seconds
    edited = Course.objects.filter(settled_edits__lt=F("edits")).order_by("pk")
    waiting = deque(edited.values_list("pk", flat=True))
    while waiting:
        course_id = waiting.popleft()
        with _alone(course_id) as alone:
            # One batch per course in turn: a course of a million must not delay the others.
            if alone and _settle_batch(course_id, batch_size, now):
                waiting.append(course_id)
        if time.monotonic() >= deadline:
            return


def settle_edit(course_id: int, number: int, *, rebuild: bool, now: datetime) -> None:
    """Pull the course after its edit with this number. If `rebuild` is set, rebuild it first.

    If another process is settling the course, this edit is left to the next `settle_edits`.
    """
    with _alone(course_id) as alone:
        if not alone:
            return
        before = Course.objects.values_list("edits", "settled_edits").get(pk=course_id)
        # Other edits may be open too, and they may need a rebuild.
        if rebuild or before != (number, number - 1):
            while _settle_batch(course_id, BATCH_SIZE, now):
                continue
            return
        pull_course(course_id, at=now, cause=DueCause.EDIT)
        _note_settled(course_id, number)


def _settle_batch(course_id: int, batch_size: int, now: datetime) -> bool:
    """Do the next step of settling the course, and return whether there is more to do."""
    edits, settled = Course.objects.values_list("edits", "settled_edits").get(pk=course_id)
    if settled >= edits:
        return False
    # Covers the edits up to this number. An edit that is made meanwhile stays open.
    at, _ = Settling.objects.get_or_create(course_id=course_id, defaults={"number": edits})
    # All are rebuilt before the first is pulled, because norms need the read models of all.
    if at.is_rebuilt:
        at.pulled_through, is_done = _pull_batch(at, batch_size, now)
    else:
        at.rebuilt_through, at.is_rebuilt = _rebuild_batch(at, batch_size)
        is_done = False
    if not is_done:
        at.save()
        return True
    _note_settled(course_id, at.number)
    at.delete()
    return at.number < edits


def _rebuild_batch(at: Settling, batch_size: int) -> tuple[int, bool]:
    """Rebuild the next enrollments. Return the last of them and whether there are no more."""
    ids = _following(at.course_id, at.rebuilt_through, batch_size)
    if ids:
        with transaction.atomic():
            rebuild_enrollments(ids)
    return (ids[-1] if ids else at.rebuilt_through), len(ids) < batch_size


def _pull_batch(at: Settling, batch_size: int, now: datetime) -> tuple[int, bool]:
    """Pull the next enrollments. Return the last of them and whether there are no more."""
    ids = _following(at.course_id, at.pulled_through, batch_size)
    if ids:
        with transaction.atomic():
            pull_due(ids, at=now, cause=DueCause.EDIT)
    return (ids[-1] if ids else at.pulled_through), len(ids) < batch_size


def _following(course_id: int, after: int, limit: int) -> list[int]:
    enrolled = Enrollment.objects.filter(course_id=course_id, pk__gt=after).order_by("pk")
    return list(enrolled.values_list("pk", flat=True)[:limit])


def _note_settled(course_id: int, number: int) -> None:
    course = Course.objects.filter(pk=course_id)
    course.update(settled_edits=Greatest("settled_edits", number))


@contextmanager
def _alone(course_id: int) -> Iterator[bool]:
    """Lock the course for settling during the block. Yield False if another process has it."""
    # A session lock: a row lock would end with the transaction of each batch, and a session lock
    # ends with its process. Without it, each beat would start a rebuild that is still running.
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
