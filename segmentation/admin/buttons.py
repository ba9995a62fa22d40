"""The buttons on the page of a segment."""

from activity.admin import Button
from segmentation.models import Segment, SegmentStatus

ACTIVATE = Button(
    "activate",
    "Activate",
    "It is kept up to date from now on. Learners who are in it from the start get no message.",
)
ACTIVATE_PRESENT = Button(
    "activate_with_present",
    "Activate, with those already in…",
    "Learners already in it get its messages and are drawn too. First you see how many they are.",
)
THAW = Button("thaw", "Thaw", "Its rule is tried again. If it fails again, it freezes again.")
ARCHIVE = Button(
    "archive", "Archive", "All members leave it, and messages that wait for it are not sent."
)


def segment_buttons(segment: Segment, *, may_change: bool, may_let_out: bool) -> list[Button]:
    """Return the buttons for what may be done with the segment in its present state."""
    is_kept = segment.status in (SegmentStatus.ACTIVE, SegmentStatus.FROZEN)
    offered = [
        (ACTIVATE, may_change and not is_kept),
        (ACTIVATE_PRESENT, may_let_out and not is_kept),
        (THAW, may_change and segment.status == SegmentStatus.FROZEN),
        (ARCHIVE, may_change and segment.status != SegmentStatus.ARCHIVED),
    ]
    return [button for button, is_offered in offered if is_offered]
