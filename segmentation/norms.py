"""A course's norms on one day: what is usual there, to measure a learner against. Pure."""

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class NormsValues:
    """What was usual when the day began.

    `module_medians` are seconds from first touch to completion; `paces` are relative and sorted;
    `completed_items` are the activities that somebody had completed.
    """

    module_medians: Mapping[int, float] = field(default_factory=dict)
    paces: Sequence[float] = field(default_factory=list)
    completed_items: list[int] = field(default_factory=list)

    @property
    def has_ranks(self) -> bool:
        """Return whether paces tell learners apart: there are some, and no half of them is equal.

        Where the first touch of a module completes it, everybody has one pace, and a rank in it
        would call a whole course the fastest quarter.
        """
        if not self.paces:
            return False
        # What more than half of a sorted list are is also what stands in its middle.
        middle = self.paces[len(self.paces) // 2]
        equal = bisect_right(self.paces, middle) - bisect_left(self.paces, middle)
        return 2 * equal <= len(self.paces)
