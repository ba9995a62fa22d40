"""The reasons why a message was not sent, or not yet, in words. Pure.

Outcomes of deliveries hold the code of a reason. The app that plans messages writes it.
"""

# Each text is a clause that follows "because".
REASONS = {
    "bounced": "mail to the learner's address came back",
    "by_provider": "the mail provider reported it",
    "by_staff": "staff decided so",
    "cadence_paused": "somebody has paused its cadence",
    "channel_changed": "its step has a text for another channel since then",
    "channel_down": "the mail server or other receiver could not be reached",
    "complained": "the learner had marked a message as spam",
    "condition": "the condition of its step was not met",
    "conversation_open": "an instructor is in conversation with the learner",
    "course_not_live": "the course is not live",
    "course_over": "the course was over for the learner",
    "error": "an error occurred",
    "evaluation_pending": "the learner has just done something that is not evaluated yet",
    "feed_silent": "the events of the course do not come as usual",
    "frequency_cap": "the learner has had enough messages",
    "goal": "the learner had reached the goal",
    "holdout": "the learner receives no messages so that the whole programme can be measured",
    "learner_paused": "somebody holds all messages to this learner",
    "lease_expired": "the program that was sending it stopped",
    "lease_too_short": "opening the connection took too long",
    "left_segment": "the learner had left the segment",
    "no_address": "the learner has no address",
    "not_accepted": "the receiver did not accept it",
    "not_opted_in": "the learner has not asked for these messages",
    "not_set_up": "its channel is not set up for the course, or is switched off",
    "opted_out": "the learner does not want these messages",
    "other_course": "the learner had such a message for another course, and one is enough",
    "outranked": "a more important message to the learner goes first",
    "quiet_hours": "it is within the quiet hours",
    "refused": "the receiver refused it",
    "render_error": "its text could not be written",
    "run_ended": "its cadence had ended for the learner",
    "segment_frozen": "the rule of its segment failed",
    "send_window": "its cadence sends at other hours",
    "sent_again": "nobody knew whether it had arrived",
    "site_paused": "somebody holds all messages",
    "stopped": "somebody stopped it",
    "suppressed": "the address bounced for good, or its owner marked a message as spam",
    "too_many_attempts": "the receiver refused it too often",
    "too_old": "it had waited too long",
    "unsubscribed": "the learner had unsubscribed",
    "withdrawn": "the learner has left the course",
}


def reason_text(code: str) -> str:
    """Return the reason in words. A code of a later release is shown with spaces."""
    return REASONS.get(code, code.replace("_", " "))
