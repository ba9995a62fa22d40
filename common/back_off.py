"""How long something that fails waits before it is tried again. Pure."""

from dataclasses import dataclass
from datetime import timedelta

# Beyond so many failures the factor is that of this many: powers of thousands overflow.
_MOST_COUNTED = 10


@dataclass(frozen=True)
class BackOff:
    """Waits `first` after the first failure, then `factor` times as long each time, to `longest`.

    With `factor` 2 and `first` 30 seconds: 30 seconds, 1 minute, 2 minutes, and so on.
    """

    first: timedelta
    longest: timedelta
    factor: int = 2

    def after(self, failures: int) -> timedelta:
        """Return how long to wait after so many failures, the one just seen among them."""
        before = min(max(failures - 1, 0), _MOST_COUNTED)
        grown: timedelta = self.first * self.factor**before
        return min(self.longest, grown)

    def sql(self, before: str) -> str:
        """Return the same as an SQL interval; `before` is the column that counts earlier ones."""
        first, longest = (
            f"interval '{each.total_seconds():g} seconds'" for each in (self.first, self.longest)
        )
        grown = f"{first} * power({self.factor}, LEAST({before}, {_MOST_COUNTED}))"
        return f"LEAST({longest}, {grown})"


# A row that cannot be worked on, whatever the stage: seen again soon, and not in everybody's way.
OF_A_FAILED_ROW = BackOff(timedelta(seconds=30), timedelta(hours=1))
