"""The lock that prevents saving a cadence and starting an experiment at the same time."""

from collections.abc import Iterable

from segmentation.models import Segment


def lock_segments(segment_ids: Iterable[int]) -> None:
    """Lock the segments in order until the transaction ends."""
    rows = Segment.objects.filter(pk__in=list(segment_ids)).order_by("pk")
    list(rows.select_for_update(no_key=True).values_list("pk"))
