"""When a waiting message will go out if nothing but time changes, decided by the policy. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from heapq import heapify, heappop, heappush

from interventions.policy.caps import Cap, Counted, covers
from interventions.policy.decision import Allow, Decision, Defer, Deny, Facts, Reason, decide

# Only a person can lift these, or events that come again.
HOLDS = frozenset(
    {
        Reason.COURSE_NOT_LIVE,
        Reason.SITE_PAUSED,
        Reason.LEARNER_PAUSED,
        Reason.CADENCE_PAUSED,
        Reason.SEGMENT_FROZEN,
        Reason.NOT_SET_UP,
        Reason.FEED_SILENT,
        Reason.CONVERSATION_OPEN,
    }
)
# Quiet hours, a send window and several caps can follow each other for some days.
MOST_DECISIONS = 20


@dataclass(frozen=True)
class Expectation:
    """The waits one after the other, and how they end.

    `at`: it goes out then. `end`: it never goes out, or it waits until a person acts. With neither
    of them it expires.
    """

    waits: tuple[Defer, ...] = ()
    at: datetime | None = None
    end: Deny | Defer | None = None


@dataclass(frozen=True)
class Candidate:
    """A waiting message. `rank` orders the messages that are due at one instant, the first first.

    `send_at` is the instant of the first decision.
    """

    facts: Facts
    send_at: datetime
    expires_at: datetime
    rank: tuple[int, datetime, int]
    delivery_id: int | None = None


def expect(facts: Facts, *, send_at: datetime, expires_at: datetime) -> Expectation:
    """Return when the message goes out, deciding again at each instant to which it is deferred.

    Reasons that pass within moments are left out.
    """
    return expect_in_turn([Candidate(facts, send_at, expires_at, (0, send_at, 0))])[0]


def expect_in_turn(waiting: Sequence[Candidate]) -> list[Expectation]:
    """Return when each of a learner's messages goes out, in the given order.

    As in dispatch, all that is due at an instant is decided on by rank, and each message that goes
    out counts for the caps of the others. Decided one after the other, a message that waits for the
    morning would take the place of a more important one that was planned after it.
    """
    found: dict[int, Expectation] = {}
    sent: tuple[Counted, ...] = ()
    queue: list[_Turn] = [(each.send_at, each.rank, n, ()) for n, each in enumerate(waiting)]
    heapify(queue)
    while queue:
        at, rank, place, waits = heappop(queue)
        decision = _decide(waiting[place], sent, at, waits)
        if isinstance(decision, Defer) and decision.reason not in HOLDS:
            heappush(queue, (decision.until, rank, place, (*waits, decision)))
        elif isinstance(decision, Allow):
            found[place] = Expectation(waits, at=at)
            sent = (*sent, Counted(waiting[place].facts.message, at, waiting[place].delivery_id))
        else:
            found[place] = Expectation(waits, end=decision)
    return [found[place] for place in range(len(waiting))]


# The instant of the next decision, the rank, the place in the list, and the waits until then.
_Turn = tuple[datetime, tuple[int, datetime, int], int, tuple[Defer, ...]]


def _decide(
    one: Candidate, sent: tuple[Counted, ...], at: datetime, waits: tuple[Defer, ...]
) -> Decision | None:
    """Return the decision at the instant, or None for a message that has expired by then."""
    if at >= one.expires_at or len(waits) >= MOST_DECISIONS:
        return None
    counted = (*one.facts.counted, *sent)
    lasting = replace(one.facts, evaluation_pending=False, ahead=(), counted=counted)
    return decide(lasting, now=at)


def used_up_by(cap: Cap, counted: tuple[Counted, ...], *, before: datetime) -> list[Counted]:
    """Return the messages that use up the cap at the instant, the latest first."""
    covered = [each for each in counted if covers(cap, each.message) and each.at <= before]
    return sorted(covered, key=lambda each: each.at, reverse=True)[: cap.limit]
