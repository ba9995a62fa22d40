"""The learners of a page whom a dispatch loop still has to serve, and how many a turn looks at."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from interventions.operations.claim import Turn

# Of so many learners in the list, a turn takes those whom no other worker has.
CANDIDATES = 32
MOST_CANDIDATES = 256


@dataclass
class WaitingList:
    """The learners of a page in order, and the channel of the first message of each."""

    learners: list[int] = field(default_factory=list)
    channels: Mapping[int, str] = field(default_factory=dict)
    width: int = CANDIDATES

    def fill(self, page: Mapping[int, str]) -> None:
        """Begin another page: learners in order, each with the channel of its first message."""
        self.learners, self.channels = list(page), page

    @property
    def next(self) -> dict[int, str]:
        """Return the candidates of the next turn, in order, each with its channel."""
        return {each: self.channels.get(each, "") for each in self.learners[: self.width]}

    def advance(self, turn: Turn) -> None:
        """Let those come next who come again after the turn, and those whom it had no room for."""
        self.learners = turn.again + turn.rest + self.learners[self.width :] + turn.blocked
        self.width = min(max(self._next_width(len(turn.rest)), CANDIDATES), MOST_CANDIDATES)

    def _next_width(self, rest: int) -> int:
        """Return twice the width after a turn that was not full, for a full turn leaves a rest.

        With many workers most of the first learners are taken. A turn that found its learners only
        towards the end of the list would be empty at half the width.
        """
        if not rest:
            return 2 * self.width
        return self.width // 2 if rest > self.width * 3 // 4 else self.width
