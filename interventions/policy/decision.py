"""Whether a message may go out now: facts in, a decision out. It only ever subtracts. Pure."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from interventions.policy.caps import Cap, Counted, Message, eligible_at
from interventions.policy.hours import ClosedHours, open_from

# What is held is not even read. A hold that has begun since the reading is asked about again later.
HOLD = timedelta(minutes=10)
# Evaluate and react need a moment; nobody is nudged to do what they did a minute ago.
PASSES_WITHIN = timedelta(seconds=30)


class Reason(StrEnum):
    """Why a message does not go out now. Kept on the delivery and counted in reports."""

    WITHDRAWN = "withdrawn"
    RUN_ENDED = "run_ended"
    OPTED_OUT = "opted_out"
    NOT_OPTED_IN = "not_opted_in"
    SUPPRESSED = "suppressed"
    NO_ADDRESS = "no_address"
    COURSE_NOT_LIVE = "course_not_live"
    SITE_PAUSED = "site_paused"
    CADENCE_PAUSED = "cadence_paused"
    SEGMENT_FROZEN = "segment_frozen"
    FEED_SILENT = "feed_silent"
    QUIET_HOURS = "quiet_hours"
    SEND_WINDOW = "send_window"
    EVALUATION_PENDING = "evaluation_pending"
    CHANNEL_DOWN = "channel_down"
    FREQUENCY_CAP = "frequency_cap"
    OUTRANKED = "outranked"


# What passes by itself within moments. A message that waits for it keeps its place under a cap.
PASSING = (Reason.EVALUATION_PENDING, Reason.CHANNEL_DOWN)


@dataclass(frozen=True)
class Allow:
    """It may go out now."""


@dataclass(frozen=True)
class Deny:
    """It must never go out."""

    reason: Reason
    detail: str = ""


@dataclass(frozen=True)
class Defer:
    """It is to be asked about again at `until`, not before."""

    until: datetime
    reason: Reason
    detail: str = ""


Decision = Allow | Deny | Defer


@dataclass(frozen=True)
class Facts:
    """All that a decision depends on. The defaults say that nothing is against the message."""

    message: Message
    zone: str
    withdrawn: bool = False
    run_ended: bool = False
    opted_out: bool = False
    not_opted_in: bool = False
    suppressed: bool = False
    no_address: bool = False
    # What a person has to lift before it can go out.
    held: Reason | None = None
    feed_silent: bool = False
    quiet_hours: ClosedHours | None = None
    outside_window: ClosedHours | None = None
    # An event or a transition of this enrollment is not worked in yet.
    evaluation_pending: bool = False
    # Only those that cover the message.
    caps: tuple[Cap, ...] = ()
    counted: tuple[Counted, ...] = ()
    # Other messages to the learner that are more important and wait for something passing.
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
    return Deny(Reason.RUN_ENDED) if facts.run_ended else None


def _consent(facts: Facts, now: datetime) -> Decision | None:
    if facts.opted_out:
        return Deny(Reason.OPTED_OUT)
    return Deny(Reason.NOT_OPTED_IN) if facts.not_opted_in else None


def _suppression(facts: Facts, now: datetime) -> Decision | None:
    return Deny(Reason.SUPPRESSED) if facts.suppressed else None


def _address(facts: Facts, now: datetime) -> Decision | None:
    return Deny(Reason.NO_ADDRESS) if facts.no_address else None


def _held(facts: Facts, now: datetime) -> Decision | None:
    return None if facts.held is None else Defer(now + HOLD, facts.held)


def _feed(facts: Facts, now: datetime) -> Decision | None:
    return Defer(now + HOLD, Reason.FEED_SILENT) if facts.feed_silent else None


def _hours(facts: Facts, now: datetime) -> Decision | None:
    stretches = (
        (facts.quiet_hours, Reason.QUIET_HOURS),
        (facts.outside_window, Reason.SEND_WINDOW),
    )
    for closed, reason in stretches:
        until = now if closed is None else open_from(now, closed, zone=facts.zone)
        if until > now:
            return Defer(until, reason)
    return None


def _evaluation_pending(facts: Facts, now: datetime) -> Decision | None:
    if not facts.evaluation_pending:
        return None
    return Defer(now + PASSES_WITHIN, Reason.EVALUATION_PENDING)


def _caps(facts: Facts, now: datetime) -> Decision | None:
    objection = _exceeded(facts, facts.counted, now)
    if objection is not None or not facts.ahead:
        return objection
    # There is room, but not for both. Taking it would have the more important one held back or,
    # under a cap that drops, never sent. This one waits: it is not known yet whether that one goes.
    both = (*facts.counted, *(Counted(message, now) for message in facts.ahead))
    return Defer(now + PASSES_WITHIN, Reason.OUTRANKED) if _exceeded(facts, both, now) else None


def _exceeded(facts: Facts, counted: tuple[Counted, ...], now: datetime) -> Decision | None:
    instants = [(cap, eligible_at(cap, counted, now=now, zone=facts.zone)) for cap in facts.caps]
    exceeded = [(cap, until) for cap, until in instants if until is None or until > now]
    for cap, until in exceeded:
        # A cap of 0 that defers would defer for ever: it means no.
        if cap.drops or until is None:
            return Deny(Reason.FREQUENCY_CAP, cap.name)
    waits = [(until, cap.name) for cap, until in exceeded if until is not None]
    if not waits:
        return None
    # One more message only ever gets easier with time, so the latest instant satisfies all caps.
    until, name = max(waits)
    return Defer(until, Reason.FREQUENCY_CAP, name)


# Denials come first: a message that must never go out is not kept waiting. Erasure belongs at the
# very top and a holdout after the address, as soon as there are such facts. A pending evaluation
# stands before the caps, because a cap may drop, and what is dropped does not come back.
ORDER: tuple[Callable[[Facts, datetime], Decision | None], ...] = (
    _ended,
    _consent,
    _suppression,
    _address,
    _held,
    _feed,
    _hours,
    _evaluation_pending,
    _caps,
)
