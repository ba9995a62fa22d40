"""The messages that the cadences of a segment sent in a course, and whom a holdout keeps without.

Both are read for pages that compare learners of a segment.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Q, QuerySet

from activity.models import Course, Enrollment
from experiments.randomize.hash import bucket_of_many
from interventions.models import ArchivedDelivery, Delivery, Holdout
from interventions.policy.holdouts import buckets_of
from interventions.queries.funnel import ACCEPTED


def messages_of_segment(segment_id: int, course: Course) -> dict[int, list[datetime]]:
    """Return by enrollment when a receiver took messages of the segment's cadences. Two queries."""
    found: defaultdict[int, list[datetime]] = defaultdict(list)
    for rows in (_of(Delivery.objects, segment_id), _of(ArchivedDelivery.objects, segment_id)):
        pairs = rows.filter(enrollment__course=course).values_list("enrollment_id", "claimed_at")
        for enrollment_id, at in pairs.iterator():
            found[enrollment_id].append(at)
    return dict(found)


def _of(rows: Any, segment_id: int) -> QuerySet[Any]:
    found: QuerySet[Any] = rows.filter(
        step__cadence__segment=segment_id, state__in=ACCEPTED, claimed_at__isnull=False
    )
    return found


@dataclass(frozen=True)
class HeldOut:
    """The latest holdout of a course, and of the entries in its time those that it held out."""

    holdout: Holdout
    held_out: dict[int, datetime]
    others: dict[int, datetime]


def held_out_entries(starts: Mapping[int, datetime], course: Course) -> HeldOut | None:
    """Return the entries in the time of the course's latest holdout that has any. Two queries.

    Learners whom another holdout keeps without messages are left out.
    """
    holdouts = list(Holdout.objects.filter(Q(course=None) | Q(course=course)))
    if not holdouts:
        return None
    learners = dict(Enrollment.objects.filter(pk__in=starts).values_list("pk", "learner_id"))
    held = {each.pk: _drawn(each, learners) for each in holdouts}
    for each in holdouts:
        inside = {pk: at for pk, at in starts.items() if _is_in_time(each, at)}
        if not inside:
            continue
        others = [one for one in holdouts if one.pk != each.pk]
        apart = {
            pk
            for pk, at in inside.items()
            if any(pk in held[one.pk] and _is_in_time(one, at) for one in others)
        }
        own = {pk: at for pk, at in inside.items() if pk not in apart}
        return HeldOut(
            each,
            {pk: at for pk, at in own.items() if pk in held[each.pk]},
            {pk: at for pk, at in own.items() if pk not in held[each.pk]},
        )
    return None


def _drawn(holdout: Holdout, learners: Mapping[int, int]) -> set[int]:
    buckets = bucket_of_many([str(each) for each in learners.values()], seed=holdout.seed)
    most = buckets_of(float(holdout.share))
    return {pk for pk, bucket in zip(learners, buckets.tolist(), strict=True) if bucket < most}


def _is_in_time(holdout: Holdout, at: datetime) -> bool:
    return holdout.starts_at <= at and (holdout.ends_at is None or at < holdout.ends_at)
