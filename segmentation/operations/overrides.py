"""Add and remove members manually. The next evaluation applies the overrides."""

from datetime import datetime

from django.contrib.auth.models import User
from django.db import transaction

from activity.models import DueCause
from activity.operations import pull_due
from common.rows import create_or_change
from segmentation.models import Override, OverrideKind, PlaybookCourse, Segment
from segmentation.operations.errors import SegmentationError
from segmentation.operations.segments import EVALUATED


def add_member(
    segment_id: int, enrollment_id: int, *, now: datetime, by: User | None = None
) -> Override:
    """Keep the enrollment in the segment regardless of the rule, as long as it is in scope.

    In an exclusive playbook, a segment of higher priority still comes first. Raise
    SegmentationError if the segment is not kept for the enrollment's course.
    """
    return _override(OverrideKind.ADDED, (segment_id, enrollment_id), now=now, by=by)


def remove_member(
    segment_id: int, enrollment_id: int, *, now: datetime, by: User | None = None
) -> Override:
    """Keep the enrollment out of the segment regardless of the rule."""
    return _override(OverrideKind.REMOVED, (segment_id, enrollment_id), now=now, by=by)


@transaction.atomic
def clear_override(segment_id: int, enrollment_id: int, *, now: datetime) -> bool:
    """Let the rule decide again. Return False if there was no override.

    If the learner then enters or leaves, the cause is edit: no run starts and no arm is drawn.
    """
    pull_due([enrollment_id], at=now, cause=DueCause.EDIT)
    gone, _ = Override.objects.filter(segment_id=segment_id, enrollment_id=enrollment_id).delete()
    return gone > 0


@transaction.atomic
def _override(
    kind: OverrideKind, pair: tuple[int, int], *, now: datetime, by: User | None
) -> Override:
    segment_id, enrollment_id = pair
    check_kept(segment_id, enrollment_id)
    # The Due row first: it is the mutex of its enrollment, and an evaluation holds it while it
    # reads the overrides. The cause stays "time", because the override itself means "manually".
    pull_due([enrollment_id], at=now, cause=DueCause.TIME)
    values = {"kind": kind, "created_at": now, "created_by": by, "applied_at": None}
    return create_or_change(
        Override.objects.all(), values, segment_id=segment_id, enrollment_id=enrollment_id
    )


def check_kept(segment_id: int, enrollment_id: int) -> None:
    """Raise SegmentationError unless the segment is kept for the enrollment's course."""
    segment = Segment.objects.get(id=segment_id)
    if segment.status not in EVALUATED:
        raise SegmentationError(f"The segment '{segment.key}' is not active.")
    links = PlaybookCourse.objects.filter(playbook=segment.playbook_id)
    if not links.filter(course__enrollments=enrollment_id).exists():
        raise SegmentationError(f"The segment '{segment.key}' is not kept for that course.")
