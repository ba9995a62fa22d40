"""The reasons why a message was not sent, in words. Pure.

Outcomes of deliveries hold the code of a reason. The app that plans messages writes it.
"""

# Each text ends the sentence "Not sent, because ...".
REASONS = {
    "bounced": "mail to the learner's address came back",
    "by_staff": "staff decided so",
    "cadence_paused": "the cadence was paused",
    "channel_down": "the mail server could not be reached",
    "complained": "the learner marked a message as spam",
    "condition": "the condition of this step was not met",
    "course_not_live": "the course was not live",
    "course_over": "the course was over for the learner",
    "error": "an error occurred",
    "evaluation_pending": "the learner had just done something",
    "feed_silent": "no events arrived from the course",
    "frequency_cap": "a frequency cap was used up",
    "goal": "the learner had already reached the goal",
    "learner_paused": "all messages to the learner were held",
    "lease_expired": "the program stopped during the hand-off",
    "lease_too_short": "the hand-off would have taken too long",
    "left_segment": "the learner had left the segment",
    "no_address": "the learner has no address",
    "not_accepted": "the mail server did not accept it yet",
    "not_opted_in": "the learner had not agreed to such messages",
    "opted_out": "the learner had opted out",
    "outranked": "a more important message came first",
    "quiet_hours": "it was within quiet hours",
    "refused": "the mail server refused it",
    "render_error": "its text could not be composed",
    "run_ended": "the cadence had ended for the learner",
    "segment_frozen": "the rule of the segment had failed",
    "send_window": "it was outside the cadence's hours",
    "sent_again": "it will be sent again after a doubt",
    "site_paused": "all sending was held",
    "suppressed": "the address gets no messages after a bounce or complaint",
    "too_many_attempts": "the mail server did not accept it after several attempts",
    "too_old": "it had become too old",
    "unsubscribed": "the learner had unsubscribed",
    "withdrawn": "the learner had left the course",
}


def reason_text(code: str) -> str:
    """Return the reason in words. A code of a later release is shown with spaces."""
    return REASONS.get(code, code.replace("_", " "))
