"""The words of the page before and after: who is shown, who is left out, what to expect. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from experiments.reporting.small_cells import FEWEST


class Without(StrEnum):
    """The learners without a message to whom those with messages are put beside."""

    # No message has ever gone out, so all entries are without one.
    ALL = "all"
    EARLIER = "earlier"
    # Nobody was in the segment, and its rule is read on past days.
    RULE = "rule"
    UNSENT = "unsent"
    NOBODY = "nobody"


# The names of both groups in the tables.
NAMES = {
    Without.ALL: ("Entered, and no message went out", ""),
    Without.EARLIER: ("Entered before the first message", "Entered since messages go out"),
    Without.RULE: ("Would have entered earlier", "Entered since messages go out"),
    Without.UNSENT: ("Entered since, got no message", "Entered since, got a message"),
    Without.NOBODY: ("", "Entered since messages go out"),
}


@dataclass(frozen=True)
class Who:
    """The numbers of learners behind a page. `first_day` is the day of the first message.

    `reached` of those with messages got one in their days after. Left out are those who were `new`,
    whose days have `not_ended`, after whose entry the course was `over`, who entered `between`, and
    those of a `control` arm or a holdout.
    """

    kind: Without
    days: int
    first_day: str
    without: int
    with_messages: int
    reached: int
    new: int = 0
    not_ended: int = 0
    over: int = 0
    between: int = 0
    control: int = 0


def expectation(who: Who) -> str:
    """Return what the history of the segment says about learners without a message."""
    if who.kind is Without.ALL:
        return (
            "No message has gone out on this segment, so all that follows came by itself. It shows "
            f"what to expect of {_learners(who.without)} without any message."
        )
    if who.kind is Without.EARLIER:
        return (
            f"The segment's own history shows how much passes by itself: {_learners(who.without)} "
            f"entered it before the first message, on {who.first_day}."
        )
    few = (
        f"Fewer than {FEWEST} learners entered before the first message, on {who.first_day}. In "
        "their place stand "
    )
    if who.kind is Without.RULE:
        return (
            f"{few}{_learners(who.without)} whom its rule, as it is now, would have let in during "
            "the 30 days before. They are found from the event log, day by day, with items, due "
            "days and traits as they are today."
        )
    if who.kind is Without.UNSENT:
        return (
            f"{few}{_learners(who.without)} who entered since and got no message "
            "in their days after. They are others: they have no address, have said no, were held "
            "back by a limit, or left the segment at once. So the comparison below is weaker still."
        )
    return (
        f"Fewer than {FEWEST} learners of its history were without a message, so nobody can say "
        "how much of the change below came by itself. Read nothing into it."
    )


def weaknesses(who: Who) -> Iterator[str]:
    """Yield why even the difference of the two changes is weak."""
    if who.kind in (Without.EARLIER, Without.RULE):
        yield (
            "The two groups entered at different times. An exam, a holiday or another teacher in "
            "between would look just like messages."
        )
    if who.kind is Without.UNSENT:
        yield "Whether a learner got a message was not left to chance."
    if who.kind is not Without.UNSENT and who.with_messages:
        yield (
            f"{who.reached:,} of the {who.with_messages:,} who entered since messages go out got "
            "one of this segment in their days after. The others are counted too: who got one was "
            "not left to chance."
        )
    yield "Messages of other segments, and everything outside Nudgelab, are not looked at."


def left_out(who: Who) -> str:
    """Return whose entries are not counted and why; empty if all are."""
    reasons = [
        (who.new, f"came less than {who.days} days after the learner had enrolled"),
        (who.not_ended, f"have {who.days} days after them that are not over"),
        (who.over, f"came less than {who.days} days before the end of the course"),
        (who.between, "came so shortly before the first message that it fell into their days"),
        (who.control, "are of learners whom a control arm or a holdout keeps without messages"),
    ]
    found = [f"{number:,} {words}" for number, words in reasons if number]
    return f"Entries that are left out: {'; '.join(found)}." if found else ""


def _learners(number: int) -> str:
    return "1 learner" if number == 1 else f"{number:,} learners"
