"""The columns of one query that metrics read for each assignment. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

# The number of assignments with each combination of a metric's columns.
Frequencies = Mapping[tuple[Any, ...], int]

# True if the event is the first of its verb in a module, among those received by the instant.
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
    """The number of events of the verb that an assignment has within the metric's window.

    With `first_only`, only the first event in each module counts, as in the signal
    modules_completed: platforms send the completion again at every later view.
    """

    verb: str
    first_only: bool = False

    def sql(self, *, verb: str, window: str) -> str:
        """Return the SQL of the column. The arguments are the placeholders of the two values.

        `window` is in seconds. The query must name the assignment `assigned` and the event
        `event`, and must have the instant as the parameter `as_of`.
        """
        # Numeric, because the square of a large total does not fit into eight bytes.
        amount = "1::numeric" if self.first_only else "event.count::numeric"
        # In seconds: an interval in days depends on the session's time zone at a clock change.
        counts = [
            f"event.verb = {verb}",
            f"event.occurred_at < assigned.assigned_at + make_interval(secs => {window})",
            *([_FIRST_OF_MODULE] if self.first_only else []),
        ]
        return f"COALESCE(sum({amount}) FILTER (WHERE {' AND '.join(counts)}), 0)"
