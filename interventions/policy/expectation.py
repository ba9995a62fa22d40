"""When a waiting message will go out if nothing but time changes, decided by the policy. Pure."""

from dataclasses import dataclass, replace
from datetime import datetime

from interventions.policy.caps import Cap, Counted, covers
from interventions.policy.decision import Allow, Defer, Deny, Facts, Reason, decide

# Only a person can lift these, or events that come again.
HOLDS = frozenset(
    {
        Reason.COURSE_NOT_LIVE,
        Reason.SITE_PAUSED,
        Reason.LEARNER_PAUSED,
        Reason.CADENCE_PAUSED,
        Reason.SEGMENT_FROZEN,
        Reason.FEED_SILENT,
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


def expect(facts: Facts, *, send_at: datetime, expires_at: datetime) -> Expectation:
    """Return when the message goes out, deciding again at each instant to which it is deferred.

    `send_at` is the instant of the first decision. Reasons that pass within moments are left out.
    """
    lasting = replace(facts, evaluation_pending=False, ahead=())
    waits: tuple[Defer, ...] = ()
    at = send_at
    while at < expires_at and len(waits) < MOST_DECISIONS:
        decision = decide(lasting, now=at)
        if isinstance(decision, Allow):
            return Expectation(waits, at=at)
        if isinstance(decision, Deny) or decision.reason in HOLDS:
            return Expectation(waits, end=decision)
        waits = (*waits, decision)
        at = decision.until
    return Expectation(waits)


def used_up_by(cap: Cap, counted: tuple[Counted, ...], *, before: datetime) -> list[Counted]:
    """Return the messages that use up the cap at the instant, the latest first."""
    covered = [each for each in counted if covers(cap, each.message) and each.at <= before]
    return sorted(covered, key=lambda each: each.at, reverse=True)[: cap.limit]
