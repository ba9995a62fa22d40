"""The delay before a failed row is tried again. Pure."""

from dataclasses import dataclass
from datetime import timedelta

# More failures than this do not increase the factor, because large powers overflow.
_MOST_COUNTED = 10


@dataclass(frozen=True)
class BackOff:
    """A delay of `first` after the first failure, then `factor` times longer, up to `longest`.

    With `factor` 2 and `first` 30 seconds: 30 seconds, 1 minute, 2 minutes, and so on.
    """

    first: timedelta
    longest: timedelta
    factor: int = 2

    def after(self, failures: int) -> timedelta:
        """Return the delay after this number of failures, including the latest one."""
        before = min(max(failures - 1, 0), _MOST_COUNTED)
        grown: timedelta = self.first * self.factor**before
        return min(self.longest, grown)

    def sql(self, before: str) -> str:
        """Return the delay as an SQL interval. `before` is the column with earlier failures."""
        first, longest = (
            f"interval '{each.total_seconds():g} seconds'" for each in (self.first, self.longest)
        )
        grown = f"{first} * power({self.factor}, LEAST({before}, {_MOST_COUNTED}))"
        return f"LEAST({longest}, {grown})"


# The back-off of a failed row in any stage: it is tried again soon, but does not block other rows.
OF_A_FAILED_ROW = BackOff(timedelta(seconds=30), timedelta(hours=1))
