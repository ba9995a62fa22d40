"""Recent entries into segments that could start something, for forecasts and replays."""

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, Max, Q, QuerySet

from activity.access import Viewer, for_user
from activity.models import Course
from segmentation.models import Transition, TransitionCause, TransitionKind

# The last transitions of all segments among which entries are looked for. In a course of a million
# learners, more would take too long for a page.
_MOST_LOOKED_AT = 200_000
_WEEK = timedelta(weeks=1)
# What learners or staff did, or time. Other entries have their instant from us: an edit, a first
# evaluation, events that came long after.
_OF_THEMSELVES = (TransitionCause.EVENT, TransitionCause.TIME, TransitionCause.MANUAL)


def first_entries(
    segment_ids: Collection[int], *, since: datetime, until: datetime, most: int, viewer: Viewer
) -> dict[int, datetime]:
    """Return by enrollment the first of its entries among the last `most` in the time. Two queries.

    A learner who entered several times counts from the first of these entries, as in a draw.
    """
    entries = _entries(segment_ids, since=since, until=until, viewer=viewer)
    return dict(entries.order_by("-id").values_list("enrollment_id", "occurred_at")[:most])


def entries_of(
    segment_id: int, course: Course, *, since: datetime, until: datetime, most: int
) -> dict[int, datetime]:
    """Return by enrollment the first of its entries among the last `most` in the time. One query.

    They are caused by what a learner did, by time or manually, also if no message could start.
    """
    entries = Transition.objects.filter(
        segment=segment_id,
        enrollment__course=course,
        kind=TransitionKind.ENTER,
        cause__in=_OF_THEMSELVES,
        occurred_at__gte=since,
        occurred_at__lte=until,
    )
    return dict(entries.order_by("-id").values_list("enrollment_id", "occurred_at")[:most])


def entries_by_week(
    segment_ids: Collection[int], *, weeks: int, until: datetime, viewer: Viewer
) -> tuple[tuple[int, ...], int]:
    """Return how many learners entered in each of the last weeks, and in all of them together.

    The oldest week comes first. A learner who entered in several weeks counts once in each, and
    once in all of them. Two queries.
    """
    since = until - weeks * _WEEK
    entries = _entries(segment_ids, since=since, until=until, viewer=viewer)
    starts = [since + week * _WEEK for week in range(weeks)]
    counted = entries.aggregate(
        whole=_learners(),
        **{
            f"week_{week}": _learners(Q(occurred_at__gt=start, occurred_at__lte=start + _WEEK))
            for week, start in enumerate(starts)
        },
    )
    return tuple(counted[f"week_{week}"] for week in range(weeks)), counted["whole"]


def _learners(among: Q | None = None) -> Count:
    return Count("enrollment", distinct=True, filter=among)


def _entries(
    segment_ids: Collection[int], *, since: datetime, until: datetime, viewer: Viewer
) -> QuerySet[Any]:
    newest = Transition.objects.aggregate(id=Max("id"))["id"] or 0
    entries = for_user(Transition.objects.filter(segment__in=segment_ids), viewer).filter(
        id__gt=newest - _MOST_LOOKED_AT,
        kind=TransitionKind.ENTER,
        starts=True,
        occurred_at__gte=since,
        occurred_at__lte=until,
    )
    # An experiment writes such entries at its start for learners who entered at other instants.
    return entries.exclude(cause=TransitionCause.BASELINE)
