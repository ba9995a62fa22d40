"""What holds a message back or ends it, in words, and what would have to change. Pure."""

from dataclasses import dataclass

from experiments.reporting.reasons import reason_text
from interventions.policy.decision import Reason


@dataclass(frozen=True)
class Words:
    """A clause that follows "because", and a sentence on what would change it, if anything can."""

    because: str
    change: str = ""


# The reasons that somebody or something can change.
CHANGES: dict[str, str] = {
    Reason.OPTED_OUT: "Only the learner can change that, on the page of preferences.",
    Reason.NOT_OPTED_IN: "The learner can ask for them on the page of preferences.",
    Reason.SUPPRESSED: "Another address in the roster would change that.",
    Reason.NO_ADDRESS: "An address in the roster would change that.",
    Reason.HOLDOUT: "Later messages go out when the holdout is over.",
    Reason.COURSE_NOT_LIVE: "It goes out when somebody sets “live since” of the course.",
    Reason.SITE_PAUSED: "It goes out when sending is resumed.",
    Reason.LEARNER_PAUSED: "It goes out when they are resumed.",
    Reason.CADENCE_PAUSED: "It goes out when the cadence is resumed.",
    Reason.SEGMENT_FROZEN: "It goes out when the rule is mended.",
    Reason.NOT_SET_UP: "It goes out within minutes after an admin has set it up.",
    Reason.FEED_SILENT: (
        "It goes out when they come as usual, or when staff say on the page of the course that all "
        "is well."
    ),
    Reason.CONVERSATION_OPEN: "It goes out within an hour after the task is done.",
    "render_error": "Mend the template, then try the message again.",
}


def words_of(reason: str) -> Words:
    """Return the words of the reason. A reason of a later release is shown as it is stored."""
    return Words(reason_text(reason), CHANGES.get(reason, ""))
