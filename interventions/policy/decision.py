"""Decide from facts whether a message may go out now. The policy only holds back. Pure."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from interventions.policy.caps import Cap, Counted, Message, eligible_at
from interventions.policy.hours import ClosedHours, open_from
from interventions.policy.windows import SendWindow, next_opening

# Dispatch decides on no held message, so this only says that it waits.
HOLD = timedelta(minutes=10)
# Evaluate and react need a moment. A learner must not be nudged to do what they have just done.
PASSES_WITHIN = timedelta(seconds=30)
# Conversations take days, so a message that waits for the end of one is decided on once an hour.
TALKS_AT_LEAST = timedelta(hours=1)
# Messages of several courses that come within this time are one for the learner. Learners enter the
# same segment of several courses on one day, but seldom at one instant.
ONCE_WITHIN = timedelta(hours=24)


class Reason(StrEnum):
    """The reason why a message does not go out now. It is stored on the delivery."""

    WITHDRAWN = "withdrawn"
    RUN_ENDED = "run_ended"
    COURSE_OVER = "course_over"
    CHANNEL_CHANGED = "channel_changed"
    OPTED_OUT = "opted_out"
    NOT_OPTED_IN = "not_opted_in"
    SUPPRESSED = "suppressed"
    NO_ADDRESS = "no_address"
    HOLDOUT = "holdout"
    COURSE_NOT_LIVE = "course_not_live"
    SITE_PAUSED = "site_paused"
    LEARNER_PAUSED = "learner_paused"
    CADENCE_PAUSED = "cadence_paused"
    SEGMENT_FROZEN = "segment_frozen"
    NOT_SET_UP = "not_set_up"
    FEED_SILENT = "feed_silent"
    CONVERSATION_OPEN = "conversation_open"
    QUIET_HOURS = "quiet_hours"
    SEND_WINDOW = "send_window"
    EVALUATION_PENDING = "evaluation_pending"
    CHANNEL_DOWN = "channel_down"
    OTHER_COURSE = "other_course"
    FREQUENCY_CAP = "frequency_cap"
    OUTRANKED = "outranked"


# Reasons that end by themselves within moments. Such a waiting message keeps its place under a cap.
PASSING = (Reason.EVALUATION_PENDING, Reason.CHANNEL_DOWN)


@dataclass(frozen=True)
class Allow:
    """The message may go out now."""


@dataclass(frozen=True)
class Deny:
    """The message must never go out."""

    reason: Reason
    detail: str = ""


@dataclass(frozen=True)
class Defer:
    """The message may not go out now. Decide again at `until`, not before."""

    until: datetime
    reason: Reason
    detail: str = ""


Decision = Allow | Deny | Defer


@dataclass(frozen=True)
class Facts:
    """All facts that a decision depends on. With the defaults the message may go out."""

    message: Message
    zone: str
    withdrawn: bool = False
    run_ended: bool = False
    # The course has ended, or the learner has completed it.
    course_over: bool = False
    # The step has a text for another channel since the message was planned.
    channel_changed: bool = False
    opted_out: bool = False
    not_opted_in: bool = False
    suppressed: bool = False
    no_address: bool = False
    # The name of the holdout that the learner belongs to.
    held_out: str = ""
    # The hold that a person must lift first, or events that must come again.
    held: Reason | None = None
    # The channel has no endpoint or site for the course.
    not_set_up: bool = False
    # The endpoint of the course rests after a failure.
    down_until: datetime | None = None
    # An instructor talks with the learner, and the message would interrupt.
    conversation_open: bool = False
    quiet_hours: ClosedHours | None = None
    send_window: SendWindow | None = None
    # An event or a transition of this enrollment is not processed yet.
    evaluation_pending: bool = False
    # The category sends one message for all courses of the learner.
    once_for_all_courses: bool = False
    # Only the caps that apply to the message.
    caps: tuple[Cap, ...] = ()
    counted: tuple[Counted, ...] = ()
    # More important messages to the learner that wait for one of the PASSING reasons.
    ahead: tuple[Message, ...] = ()


def decide(facts: Facts, *, now: datetime) -> Decision:
    """Return the first objection in the fixed order, else Allow."""
    for objection in ORDER:
        decision = objection(facts, now)
        if decision is not None:
            return decision
    return Allow()


def _ended(facts: Facts, now: datetime) -> Decision | None:
    if facts.withdrawn:
        return Deny(Reason.WITHDRAWN)
    if facts.run_ended:
        return Deny(Reason.RUN_ENDED)
    if facts.course_over:
        return Deny(Reason.COURSE_OVER)
    return Deny(Reason.CHANNEL_CHANGED) if facts.channel_changed else None


def _consent(facts: Facts, now: datetime) -> Decision | None:
    if facts.opted_out:
        return Deny(Reason.OPTED_OUT)
    return Deny(Reason.NOT_OPTED_IN) if facts.not_opted_in else None


def _suppression(facts: Facts, now: datetime) -> Decision | None:
    return Deny(Reason.SUPPRESSED) if facts.suppressed else None


def _address(facts: Facts, now: datetime) -> Decision | None:
    return Deny(Reason.NO_ADDRESS) if facts.no_address else None


def _holdout(facts: Facts, now: datetime) -> Decision | None:
    return Deny(Reason.HOLDOUT, facts.held_out) if facts.held_out else None


def _held(facts: Facts, now: datetime) -> Decision | None:
    return None if facts.held is None else Defer(now + HOLD, facts.held)


def _route(facts: Facts, now: datetime) -> Decision | None:
    if facts.not_set_up:
        return Defer(now + HOLD, Reason.NOT_SET_UP)
    if facts.down_until is not None and facts.down_until > now:
        return Defer(facts.down_until, Reason.CHANNEL_DOWN)
    return None


def _conversation(facts: Facts, now: datetime) -> Decision | None:
    if not facts.conversation_open:
        return None
    return Defer(now + TALKS_AT_LEAST, Reason.CONVERSATION_OPEN)


def _quiet_hours(facts: Facts, now: datetime) -> Decision | None:
    if facts.quiet_hours is None:
        return None
    until = open_from(now, facts.quiet_hours, zone=facts.zone)
    return Defer(until, Reason.QUIET_HOURS) if until > now else None


def _send_window(facts: Facts, now: datetime) -> Decision | None:
    if facts.send_window is None:
        return None
    until = next_opening(now, facts.send_window, zone=facts.zone)
    return Defer(until, Reason.SEND_WINDOW) if until > now else None


def _evaluation_pending(facts: Facts, now: datetime) -> Decision | None:
    if not facts.evaluation_pending:
        return None
    return Defer(now + PASSES_WITHIN, Reason.EVALUATION_PENDING)


def _other_course(facts: Facts, now: datetime) -> Decision | None:
    if not facts.once_for_all_courses:
        return None
    counted = [each.message for each in facts.counted if each.at > now - ONCE_WITHIN]
    if any(_is_of_another_course(facts.message, each) for each in counted):
        return Deny(Reason.OTHER_COURSE)
    if any(_is_of_another_course(facts.message, each) for each in facts.ahead):
        return Defer(now + PASSES_WITHIN, Reason.OUTRANKED)
    return None


def _is_of_another_course(message: Message, other: Message) -> bool:
    # On another channel it reaches another person, such as an instructor, or another place.
    # A mailbox can be that of two learners, and each of them takes part in courses of their own.
    same = [(each.category_id, each.channel, each.learner_id) for each in (message, other)]
    # A ghost reaches nobody, so a learner would get nothing instead of one message. For a ghost all
    # messages are as real as itself.
    was_real = message.ghost or not other.ghost
    return same[0] == same[1] and message.course_id != other.course_id and was_real


def _caps(facts: Facts, now: datetime) -> Decision | None:
    objection = _exceeded(facts, facts.counted, now)
    if objection is not None or not facts.ahead:
        return objection
    # The caps allow one message but not both. If this one went out, the more important one would be
    # held back or, under a cap that drops, never sent. So this one waits until that is decided.
    both = (*facts.counted, *(Counted(message, now) for message in facts.ahead))
    return Defer(now + PASSES_WITHIN, Reason.OUTRANKED) if _exceeded(facts, both, now) else None


def _exceeded(facts: Facts, counted: tuple[Counted, ...], now: datetime) -> Decision | None:
    instants = [(cap, eligible_at(cap, counted, now=now, zone=facts.zone)) for cap in facts.caps]
    exceeded = [(cap, until) for cap, until in instants if until is None or until > now]
    for cap, until in exceeded:
        # A cap of 0 that defers would defer for ever, so it denies.
        if cap.drops or until is None:
            return Deny(Reason.FREQUENCY_CAP, cap.name)
    waits = [(until, cap.name) for cap, until in exceeded if until is not None]
    if not waits:
        return None
    # A cap that allows a message keeps allowing it, so the latest instant satisfies all caps.
    until, name = max(waits)
    return Defer(until, Reason.FREQUENCY_CAP, name)


# Denials come first, so that a message that must never go out does not wait. Erasure would belong
# at the top. A pending evaluation comes before the other courses and the caps, because they may
# drop a message for good.
ORDER: tuple[Callable[[Facts, datetime], Decision | None], ...] = (
    _ended,
    _consent,
    _suppression,
    _address,
    _holdout,
    _held,
    _route,
    _conversation,
    _quiet_hours,
    _send_window,
    _evaluation_pending,
    _other_course,
    _caps,
)
