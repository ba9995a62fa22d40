"""Entries by time alone that wait for staff."""

from dataclasses import dataclass
from datetime import date

from django.db.models import Count, OuterRef, Subquery

from activity.access import Viewer, for_user
from segmentation.models import Surge, SurgeState, WaitingEntry


@dataclass(frozen=True)
class HeldSurge:
    """Who entered a segment by time alone on a day of a course and waits: how many of how many."""

    id: int
    course: str
    day: date
    of: int
    waiting: int


def held_surges(segment_id: int, *, viewer: Viewer) -> list[HeldSurge]:
    """Return the days on which too many entered by time alone and wait for staff. One query."""
    surges = for_user(Surge.objects.all(), viewer)
    held = surges.filter(segment_id=segment_id, state=SurgeState.HELD)
    entries = WaitingEntry.objects.filter(
        segment=OuterRef("segment"), course=OuterRef("course"), day=OuterRef("day")
    )
    counted = entries.order_by().values("course").annotate(size=Count("pk")).values("size")
    waiting = held.select_related("course").annotate(waiting=Subquery(counted))
    return [
        HeldSurge(one.pk, str(one.course), one.day, one.of, one.waiting)
        for one in waiting.filter(waiting__gt=0)
    ]
