"""The columns of one query that metrics read for each assignment. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from activity.local_time import day_in_arrays
from activity.read_models.columns import IS_ACT, SCORED

# The number of assignments with each combination of a metric's columns.
Frequencies = Mapping[tuple[Any, ...], int]
ACT = "act"

# True if the event is the first of its verb in a module, among those received by the instant.
_FIRST_OF_MODULE = """(
    EXISTS (
        SELECT FROM activity_item item WHERE item.id = event.item_id AND item.kind = 'module'
    ) AND NOT EXISTS (
        SELECT FROM activity_event earlier
        WHERE earlier.enrollment_id = event.enrollment_id AND earlier.item_id = event.item_id
            AND earlier.verb = event.verb AND earlier.received_at <= %(known_by)s
            AND earlier.occurred_at <= event.occurred_at
            AND (earlier.occurred_at, earlier.id) < (event.occurred_at, event.id)
    )
)"""


class Column(Protocol):
    """A number of each assignment, computed from its events or from its enrollment.

    The query names the assignment `assigned`, the enrollment `enrollment`, the course `course`, the
    event `event` and the zone periods `zone`. It has two instants as parameters: `as_of`, and
    `known_by`, by which an event must have been received.
    """

    @property
    def verb(self) -> str:
        """Return the verb of the events; "act" for every act, or "" if no event is read."""

    @property
    def is_before(self) -> bool:
        """Return whether events before the draw are read."""

    def sql(self, *, verb: str, window: str) -> str:
        """Return the SQL of the column: an aggregate over the events of one assignment.

        The arguments are the placeholders of two values. `window` is in seconds.
        """


@dataclass(frozen=True)
class EventCount:
    """The number of events of the verb that an assignment has within the metric's window.

    With `first_only`, only the first event in each module counts, as in the signal
    modules_completed: platforms send the completion again at every later view. With `is_before`,
    the window ends at the draw; the number is null for an enrollment that is younger than it.
    """

    verb: str
    first_only: bool = False
    is_before: bool = False

    def sql(self, *, verb: str, window: str) -> str:
        """Return the SQL of the column. The arguments are the placeholders of the two values."""
        # Numeric, because the square of a large total does not fit into eight bytes.
        amount = "1::numeric" if self.first_only else "event.count::numeric"
        own = [f"event.verb = {verb}", *([_FIRST_OF_MODULE] if self.first_only else [])]
        if not self.is_before:
            return _sum(amount, _within(window, *own))
        return _if_known(_sum(amount, _earlier(window, *own)), window)


@dataclass(frozen=True)
class ScoredAttempts:
    """The number of quiz attempts with a score, as in the signal quiz_pass_rate.

    With `passed_only`, only those that were passed count.
    """

    passed_only: bool = False
    verb: ClassVar[str] = "ATTEMPT_QUIZ"
    is_before: ClassVar[bool] = False

    def sql(self, *, verb: str, window: str) -> str:
        """Return the SQL of the column."""
        own = [SCORED, *(["event.passed"] if self.passed_only else [])]
        return _sum("event.count::numeric", _within(window, *own))


@dataclass(frozen=True)
class Acts:
    """The number of events that are acts of the learner. With `is_before` as in EventCount."""

    is_before: bool = False
    verb: ClassVar[str] = ACT

    def sql(self, *, verb: str, window: str) -> str:
        """Return the SQL of the column."""
        if not self.is_before:
            return f"count(*) FILTER (WHERE {_within(window, IS_ACT)})::numeric"
        number = f"count(*) FILTER (WHERE {_earlier(window, IS_ACT)})::numeric"
        return _if_known(number, window)


@dataclass(frozen=True)
class ActiveDays:
    """The number of days in the course's zone with at least one act, as in the signal active_days.

    A window that starts within a day touches one date more than it has days.
    """

    verb: ClassVar[str] = ACT
    is_before: ClassVar[bool] = False

    def sql(self, *, verb: str, window: str) -> str:
        """Return the SQL of the column."""
        found = day_in_arrays("event.occurred_at", "zone")
        # Not by a join: each row that is sorted for the aggregate would carry the arrays, 13 kB.
        day = f"(SELECT {found} FROM zone WHERE zone.name = course.time_zone)"  # noqa: S608
        return f"count(DISTINCT {day}) FILTER (WHERE {_within(window, IS_ACT)})::numeric"


@dataclass(frozen=True)
class HoursUntil:
    """The hours from the draw until the first event of the verb, rounded up; null without one."""

    verb: str
    first_only: bool = False
    is_before: ClassVar[bool] = False

    def sql(self, *, verb: str, window: str) -> str:
        """Return the SQL of the column."""
        own = [f"event.verb = {verb}", *([_FIRST_OF_MODULE] if self.first_only else [])]
        first = f"min(event.occurred_at) FILTER (WHERE {_within(window, *own)})"
        return f"ceil(extract(epoch FROM {first} - assigned.assigned_at) / 3600)"


@dataclass(frozen=True)
class HoursFollowed:
    """The whole hours for which the assignment was followed.

    They end with the window, with as_of, or where the events of the course are no longer known.
    """

    verb: ClassVar[str] = ""
    is_before: ClassVar[bool] = False

    def sql(self, *, verb: str, window: str) -> str:
        """Return the SQL of the column."""
        until = "LEAST(%(as_of)s, COALESCE(min(held.since), %(as_of)s))"
        followed = f"extract(epoch FROM {until} - max(assigned.assigned_at))"
        # Drawn while the feed is held, nobody was followed for any time yet.
        return f"floor(greatest(least({followed}, {window}::numeric), 0) / 3600)"


@dataclass(frozen=True)
class LeftCourse:
    """1 if the learner left the course within the window, else 0."""

    verb: ClassVar[str] = ""
    is_before: ClassVar[bool] = False

    def sql(self, *, verb: str, window: str) -> str:
        """Return the SQL of the column."""
        left = "enrollment.withdrew_at"
        has_left = (
            f"{left} >= assigned.assigned_at AND {left} <= %(as_of)s"
            f" AND {left} < assigned.assigned_at + {_length(window)}"
        )
        return f"COALESCE(bool_or({has_left}), false)::int::numeric"


@dataclass(frozen=True)
class Reached:
    """1 if a message of the experiment was handed off within the window, else 0."""

    verb: ClassVar[str] = ""
    is_before: ClassVar[bool] = False

    def sql(self, *, verb: str, window: str) -> str:
        """Return the SQL of the column. The query groups by the assignment."""
        return f"""(EXISTS (
            SELECT FROM experiments_deliveryoutcome reached
            WHERE reached.assignment_id = assigned.id AND reached.outcome = 'handed_off'
                AND reached.at <= %(as_of)s
                AND reached.at < assigned.assigned_at + {_length(window)}
        ))::int::numeric"""


def _sum(amount: str, condition: str) -> str:
    return f"COALESCE(sum({amount}) FILTER (WHERE {condition}), 0)"


def _within(window: str, *conditions: str) -> str:
    after = (
        "event.occurred_at >= assigned.assigned_at",
        f"event.occurred_at < assigned.assigned_at + {_length(window)}",
    )
    return " AND ".join([*conditions, *after])


def _earlier(window: str, *conditions: str) -> str:
    before = (
        "event.occurred_at < assigned.assigned_at",
        f"event.occurred_at >= assigned.assigned_at - {_length(window)}",
    )
    return " AND ".join([*conditions, *before])


def _if_known(number: str, window: str) -> str:
    """Return the number, or null for an enrollment that is younger than the window."""
    is_known = f"enrollment.enrolled_at <= assigned.assigned_at - {_length(window)}"
    return f"CASE WHEN bool_and({is_known}) THEN {number} END"


def _length(window: str) -> str:
    # In seconds: an interval in days depends on the session's time zone at a clock change.
    return f"make_interval(secs => {window})"
