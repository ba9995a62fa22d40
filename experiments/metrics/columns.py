"""What is read of an assignment for a metric: named columns of one query. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

# How many assignments have each combination of a metric's columns.
Frequencies = Mapping[tuple[Any, ...], int]

# Whether the event is the first of its verb in a module, of those received by the instant.
_FIRST_OF_MODULE = """(
    EXISTS (
        SELECT FROM activity_item item WHERE item.id = event.item_id AND item.kind = 'module'
    ) AND NOT EXISTS (
        SELECT FROM activity_event earlier
        WHERE earlier.enrollment_id = event.enrollment_id AND earlier.item_id = event.item_id
            AND earlier.verb = event.verb AND earlier.received_at <= %(as_of)s
            AND earlier.occurred_at <= event.occurred_at
            AND (earlier.occurred_at, earlier.id) < (event.occurred_at, event.id)
    )
)"""


@dataclass(frozen=True)
class EventCount:
    """How many events of the verb an assignment has within the metric's window.

    With `first_only` a module's first event alone counts, as for the signal modules_completed:
    platforms send the completion again at every later view.
    """

    verb: str
    first_only: bool = False

    def sql(self, *, verb: str, window: str) -> str:
        """Return the column over an assignment's events; given are the placeholders to use.

        `window` is in seconds. The query's alias of the assignment is `assigned`, of the event
        `event`, and its instant is the parameter `as_of`.
        """
        # Numeric: the square of a total of large counts does not fit into eight bytes.
        amount = "1::numeric" if self.first_only else "event.count::numeric"
        # Seconds, not days: an interval of days follows the session's time zone over a clock
        # change.
        counts = [
            f"event.verb = {verb}",
            f"event.occurred_at < assigned.assigned_at + make_interval(secs => {window})",
            *([_FIRST_OF_MODULE] if self.first_only else []),
        ]
        return f"COALESCE(sum({amount}) FILTER (WHERE {' AND '.join(counts)}), 0)"
