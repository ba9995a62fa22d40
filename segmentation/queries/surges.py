"""The surges that wait for a decision of staff."""

from dataclasses import dataclass
from datetime import date

from django.db.models import Count, OuterRef, Subquery

from activity.access import Viewer, for_user
from segmentation.models import Surge, SurgeState, WaitingEntry


@dataclass(frozen=True)
class HeldSurge:
    """A held surge: how many learners wait, and how many were in scope when they were counted."""

    id: int
    course: str
    day: date
    of: int
    waiting: int


def held_surges(segment_id: int, *, viewer: Viewer) -> list[HeldSurge]:
    """Return the segment's surges that wait for a decision of staff. One query."""
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
