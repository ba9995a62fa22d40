"""Keeping a course's norms, one row a day."""

from datetime import date, datetime

from segmentation.models import Norms
from segmentation.norms import NormsValues
from segmentation.queries import compute_norms, norms_for


def ensure_norms(course_id: int, day: date, *, now: datetime) -> NormsValues:
    """Return the course's norms of the day, computed and kept if they were not yet.

    They count what occurred before the day began; late events do not change them. Everybody's Due
    comes at that midnight at the latest where a rule asks for norms, so nothing needs to be pulled.
    """
    if not Norms.objects.filter(course_id=course_id, day=day).exists():
        values = compute_norms(course_id, day)
        row = Norms(
            course_id=course_id,
            day=day,
            module_medians={str(item): median for item, median in values.module_medians.items()},
            paces=list(values.paces),
            completed_items=values.completed_items,
            computed_at=now,
        )
        # Another worker may have been first; then its row stands for both.
        Norms.objects.bulk_create([row], ignore_conflicts=True)
    return norms_for(course_id, day)
