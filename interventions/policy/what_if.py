"""Compare what goes out under two sets of limits, by replaying the same messages. Pure.

Only caps, quiet hours and send windows are replayed. What learners would have done after other
messages is not known, so nothing follows from a message but its place under the caps.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from interventions.policy.expectation import Candidate, Expectation, expect_in_turn

# A shorter delay is no change that a learner would notice.
NOTICED = timedelta(minutes=1)


@dataclass(frozen=True)
class Replayed:
    """A message with its facts under the limits as they are, and under the changed ones."""

    learner_id: int
    course_id: int
    ghost: bool
    before: Candidate
    after: Candidate


@dataclass(frozen=True)
class Effect:
    """The messages that go out before and after the change, and the learners that it touches.

    `delayed` and `sooner` count messages that go out both times, at another instant.
    """

    messages: int = 0
    before: int = 0
    after: int = 0
    delayed: int = 0
    sooner: int = 0
    learners: int = 0

    @property
    def saved(self) -> int:
        """Return how many messages fewer go out. Below 0: more go out."""
        return self.before - self.after


@dataclass(frozen=True)
class _Outcome:
    """One message, and when it went out before and after, None if it did not."""

    of: Replayed
    before: datetime | None
    after: datetime | None

    @property
    def moved(self) -> timedelta:
        """Return by how much it goes out later, 0 if it does not go out both times."""
        return self.after - self.before if self.before and self.after else timedelta(0)

    @property
    def is_changed(self) -> bool:
        """Return whether the learner would notice."""
        return (self.before is None) != (self.after is None) or abs(self.moved) >= NOTICED


def effects(mailboxes: Iterable[list[Replayed]], *, until: datetime) -> dict[int, Effect]:
    """Return the effects by course. Messages that go out after `until` do not count as sent.

    `mailboxes` are the messages to each mailbox, which share its caps. Ghosts use up caps, but are
    not counted.
    """
    found: dict[int, list[_Outcome]] = {}
    for messages in mailboxes:
        for outcome in _outcomes(messages, until):
            if not outcome.of.ghost:
                found.setdefault(outcome.of.course_id, []).append(outcome)
    return {course_id: _effect(outcomes) for course_id, outcomes in found.items()}


def _outcomes(messages: list[Replayed], until: datetime) -> Iterable[_Outcome]:
    before = expect_in_turn([each.before for each in messages])
    after = expect_in_turn([each.after for each in messages])
    for each, old, new in zip(messages, before, after, strict=True):
        yield _Outcome(each, _sent_at(old, until), _sent_at(new, until))


def _sent_at(expectation: Expectation, until: datetime) -> datetime | None:
    at = expectation.at
    return at if at is not None and at < until else None


def _effect(outcomes: list[_Outcome]) -> Effect:
    return Effect(
        messages=len(outcomes),
        before=sum(each.before is not None for each in outcomes),
        after=sum(each.after is not None for each in outcomes),
        delayed=sum(each.moved >= NOTICED for each in outcomes),
        sooner=sum(each.moved <= -NOTICED for each in outcomes),
        learners=len({each.of.learner_id for each in outcomes if each.is_changed}),
    )
