"""What holds a message back or ends it, in words, and what would have to change. Pure."""

from dataclasses import dataclass

from interventions.policy.decision import Reason


@dataclass(frozen=True)
class Words:
    """A clause that follows "because", and a sentence on what would change it, if anything can."""

    because: str
    change: str = ""


OF_POLICY: dict[str, Words] = {
    Reason.WITHDRAWN: Words("the learner has left the course"),
    Reason.RUN_ENDED: Words("its cadence had ended for the learner"),
    Reason.OPTED_OUT: Words(
        "the learner does not want these messages",
        "Only the learner can change that, on the page of preferences.",
    ),
    Reason.NOT_OPTED_IN: Words(
        "the learner has not asked for these messages",
        "The learner can ask for them on the page of preferences.",
    ),
    Reason.SUPPRESSED: Words(
        "the address bounced for good, or its owner marked a message as spam",
        "Another address in the roster would change that.",
    ),
    Reason.NO_ADDRESS: Words(
        "the learner has no address", "An address in the roster would change that."
    ),
    Reason.COURSE_NOT_LIVE: Words(
        "the course is not live", "It goes out when somebody sets “live since” of the course."
    ),
    Reason.SITE_PAUSED: Words(
        "somebody holds all messages", "It goes out when sending is resumed."
    ),
    Reason.LEARNER_PAUSED: Words(
        "somebody holds all messages to this learner", "It goes out when they are resumed."
    ),
    Reason.CADENCE_PAUSED: Words(
        "somebody has paused its cadence", "It goes out when the cadence is resumed."
    ),
    Reason.SEGMENT_FROZEN: Words(
        "the rule of its segment failed", "It goes out when the rule is mended."
    ),
    Reason.FEED_SILENT: Words(
        "the events of the course have stopped", "It goes out when they come again."
    ),
    Reason.QUIET_HOURS: Words("it is within the quiet hours"),
    Reason.SEND_WINDOW: Words("its cadence sends at other hours"),
    Reason.EVALUATION_PENDING: Words(
        "the learner has just done something that is not evaluated yet"
    ),
    Reason.CHANNEL_DOWN: Words("the mail server could not be reached"),
    Reason.FREQUENCY_CAP: Words("the learner has had enough messages"),
    Reason.OUTRANKED: Words("a more important message to the learner goes first"),
}
# Reasons that the stages and people give.
OF_STAGES: dict[str, Words] = {
    "goal": Words("the learner had reached the goal"),
    "condition": Words("the condition of its step was not met"),
    "left_segment": Words("the learner had left the segment"),
    "course_over": Words("the course was over for the learner"),
    "unsubscribed": Words("the learner had unsubscribed"),
    "complained": Words("the learner had marked a message as spam"),
    "stopped": Words("somebody stopped it"),
    "too_old": Words("it had waited too long"),
    "render_error": Words(
        "its text could not be written", "Mend the template, then try the message again."
    ),
    "refused": Words("the mail server refused it"),
    "not_accepted": Words("the mail server did not accept it"),
    "too_many_attempts": Words("the mail server refused it too often"),
    "lease_too_short": Words("opening the connection took too long"),
    "lease_expired": Words("the program that was sending it stopped"),
    "sent_again": Words("nobody knew whether it had arrived"),
    "by_staff": Words("staff decided so"),
    "error": Words("an error occurred"),
}
REASONS = OF_POLICY | OF_STAGES


def words_of(reason: str) -> Words:
    """Return the words of the reason. A reason of a later release is shown as it is stored."""
    return REASONS.get(reason, Words(reason.replace("_", " ")))
