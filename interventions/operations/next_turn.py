"""Record the answers to one turn and claim the next in one transaction.

The next turn is decided while the messages of the first one are on their way.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from django.db import transaction

from common.clock import Clock
from interventions.operations.claim import Decided, Turn, write_decided
from interventions.operations.finish import Done, write_answers


@dataclass(frozen=True)
class Recorded:
    """Answers that are recorded, with their new states, and the turn that was claimed with them."""

    done: Sequence[Done]
    states: Sequence[str | None]
    turn: Turn | None


@transaction.atomic
def record_and_claim(
    decide: Callable[[], Decided],
    *,
    answers: Callable[[], Sequence[Done] | None],
    goes_on: Callable[[Sequence[Done]], bool],
    clock: Clock,
) -> Recorded | None:
    """Decide on a turn, wait for the answers to the turn before, and write both.

    `answers` returns None if they do not come soon. Then nothing is written, and None is returned,
    because the learners of the next turn must not stay locked. `goes_on` says whether the next turn
    may be claimed after such answers.
    """
    decided = decide()
    done = answers()
    if done is None:
        transaction.set_rollback(True)
        return None
    states = write_answers(done, now=clock())
    return Recorded(done, states, write_decided(decided) if goes_on(done) else None)


def is_stopped_by(done: Sequence[Done]) -> bool:
    """Return whether an answer stops its channel or slows it down."""
    return any(each.answer.stops_the_channel or each.answer.is_throttling for each in done)
