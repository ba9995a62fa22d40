"""The members of segments now, and how many there are."""

from django.db.models import Count

from activity.access import Viewer, for_user
from segmentation.models import Membership


def current_segment_ids(enrollment_id: int) -> set[int]:
    """Return the segments that the enrollment is in now. One query."""
    current = Membership.objects.filter(enrollment_id=enrollment_id, left_at__isnull=True)
    return set(current.values_list("segment_id", flat=True))


def segment_sizes() -> dict[int, int]:
    """Return how many enrollments are in each segment now, leaving out empty ones. One query."""
    current = Membership.objects.filter(left_at__isnull=True)
    sizes = current.order_by().values("segment_id").annotate(size=Count("pk"))
    return dict(sizes.values_list("segment_id", "size"))


def segment_size(segment_id: int, *, up_to: int, viewer: Viewer) -> int:
    """Return how many enrollments in the segment now the viewer may see, at most `up_to` + 1.

    One query.
    """
    members = for_user(Membership.objects.all(), viewer)
    current = members.filter(segment_id=segment_id, left_at__isnull=True)
    # Counting stops there: a list of segments must not read a million rows to say "many".
    return current.order_by()[: up_to + 1].count()
