"""The buttons on the page of a cadence."""

from activity.admin import Button
from interventions.models import Cadence, CadenceStatus

ACTIVATE = Button(
    "activate",
    "Activate",
    "Learners who enter the segment from now on get its messages, within caps and quiet hours.",
)
PAUSE = Button(
    "pause",
    "Pause…",
    "Its messages wait until somebody resumes it, also on course sites. You say why.",
)
RESUME = Button("resume", "Resume", "Messages that waited go out within seconds.")
ARCHIVE = Button(
    "archive",
    "Archive",
    "Nobody starts it any more, messages that wait are not sent, and course sites hide its "
    "messages. Sent ones stay on record.",
)


def cadence_buttons(cadence: Cadence, *, may_change: bool, may_let_out: bool) -> list[Button]:
    """Return the buttons for what may be done with the cadence in its present state."""
    is_active = cadence.status == CadenceStatus.ACTIVE
    offered = [
        (ACTIVATE, may_let_out and not is_active),
        (PAUSE, may_change and is_active and not cadence.paused),
        (RESUME, may_let_out and cadence.paused),
        (ARCHIVE, may_change and cadence.status != CadenceStatus.ARCHIVED),
    ]
    return [button for button, is_offered in offered if is_offered]
