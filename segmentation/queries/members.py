"""The current members of segments, and their numbers."""

from dataclasses import dataclass

from django.db.models import Count

from activity.access import Viewer, for_user
from segmentation.models import Membership


@dataclass(frozen=True)
class SegmentSize:
    """The members of a segment, and their learners: a learner may be in it with several courses."""

    members: int
    learners: int


def current_segment_ids(enrollment_id: int) -> set[int]:
    """Return the ids of the enrollment's current segments. One query."""
    current = Membership.objects.filter(enrollment_id=enrollment_id, left_at__isnull=True)
    return set(current.values_list("segment_id", flat=True))


def segment_sizes() -> dict[int, int]:
    """Return the current number of members by segment, without empty segments. One query."""
    current = Membership.objects.filter(left_at__isnull=True)
    sizes = current.order_by().values("segment_id").annotate(size=Count("pk"))
    return dict(sizes.values_list("segment_id", "size"))


def segment_size(segment_id: int, *, up_to: int, viewer: Viewer) -> int:
    """Return the segment's current number of members that the viewer may see.

    Counting stops at `up_to` + 1. One query.
    """
    members = for_user(Membership.objects.all(), viewer)
    current = members.filter(segment_id=segment_id, left_at__isnull=True)
    # With the limit, a list of segments does not read a million rows to show "many".
    return current.order_by()[: up_to + 1].count()


def people_in_segment(segment_id: int, *, up_to: int, viewer: Viewer) -> SegmentSize:
    """Return the number of current members that the viewer may see, and that of their learners.

    Counting stops at `up_to` + 1 members. One query.
    """
    members = for_user(Membership.objects.all(), viewer)
    current = members.filter(segment_id=segment_id, left_at__isnull=True)
    found = current.order_by()[: up_to + 1].aggregate(
        members=Count("pk"), learners=Count("enrollment__learner", distinct=True)
    )
    return SegmentSize(**found)
