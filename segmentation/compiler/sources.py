"""What the signals of one reading need, collected while they are compiled."""

# Every value is bound; what is put into the text are constants of this package.
# ruff: noqa: S608

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from activity.local_time import local_midnight_of as midnight
from segmentation.compiler.sql import Params
from segmentation.norms import NormsValues

# SQL conditions over the aliases i of activity_item and c of `course`. A quiz due further ahead
# than a week is no fault of anybody's. A module that nobody closed, as an exam's, does not stay
# open for ever: it is 14 days after its due day.
IS_ASSIGNED = "(i.assigned_on IS NULL OR i.assigned_on <= c.day_on)"
IS_QUIZ_ASKED = (
    f"(i.kind = 'quiz' AND {IS_ASSIGNED} AND (i.due_on IS NULL OR i.due_on <= c.day_on + 7))"
)
IS_OPEN = f"({IS_ASSIGNED} AND (i.due_on IS NULL OR i.due_on + 14 >= c.day_on))"


class LeftOut(StrEnum):
    """Which of the events that came in since the last evaluation a reading leaves out."""

    ALL = "all"
    LATE = "late"
    FRESH = "fresh"


@dataclass(frozen=True)
class Subject:
    """Who is read, and as of when: one course, perhaps only some of its enrollments."""

    course_id: int
    as_of: datetime
    enrollment_ids: list[int] | None
    norms: NormsValues
    left_out: LeftOut | None = None


@dataclass
class Columns:
    """Named SQL expressions; asking for the same one again gives the same name."""

    prefix: str
    names: dict[str, str] = field(default_factory=dict)

    def add(self, expression: str) -> str:
        """Return the expression's column name."""
        return self.names.setdefault(expression, f"{self.prefix}{len(self.names)}")

    def select(self) -> list[str]:
        return [f"{expression} AS {name}" for expression, name in self.names.items()]


@dataclass
class Sources:
    """What the signals of one reading need, collected while they are compiled.

    `facts` are about the course (one row); `daily` and `progress` are aggregates an enrollment,
    over the aliases a (a DailyActivity row) and p (a Progress row with its item's columns).
    """

    subject: Subject
    params: Params = field(default_factory=Params)
    facts: Columns = field(default_factory=lambda: Columns("f"))
    daily: Columns = field(default_factory=lambda: Columns("d"))
    progress: Columns = field(default_factory=lambda: Columns("g"))
    # How many days back the daily rows are needed; None: all of them.
    reach: int | None = 0
    # How many days back it matters when an item was last touched; 0: not at all.
    touch_reach: int = 0
    # Which items matter, as SQL conditions over the alias i of activity_item.
    items: set[str] = field(default_factory=set)
    # SQL for the instant at which D began, where paces are asked for.
    pace_since: str | None = None
    needs_traits: bool = False

    @property
    def as_of(self) -> str:
        return self.params.bind(self.subject.as_of, "timestamptz")

    def days(self, window: int) -> str:
        return self.params.bind(window, "int")

    def fact(self, expression: str) -> str:
        """Return SQL for a fact of the course; the expression may use the alias c of `course`."""
        return f"(SELECT {self.facts.add(expression)} FROM fact)"

    def day(self) -> str:
        """Return SQL for D, the course-local date of as_of."""
        return "(SELECT day_on FROM course)"

    def since(self, window: int) -> str:
        """Return SQL for the instant at which the last N days begin."""
        return self.fact(midnight(f"(c.day_on - {self.days(window)} + 1)", "c.time_zone"))

    def touched_since(self, window: int) -> str:
        """Return SQL as `since` does, to compare with when an item was last touched or attempted.

        Of the time before nothing but that it is before can be asked: at a past instant the read
        models know no more.
        """
        self.touch_reach = max(self.touch_reach, window)
        return self.since(window)

    def log_since(self) -> str:
        """Return SQL for the instant since which a past instant needs the event log.

        The days before D are whole in the read models, and what was first is first at any instant.
        """
        return self.since(max(self.touch_reach, 1))

    def sum_of_day(self, expression: str, window: int | None, *, skip: int = 0) -> str:
        """Return the aggregate of daily rows over the last N days, or over the N before `skip`."""
        oldest = None if window is None else window + skip
        self.reach = None if None in (oldest, self.reach) else max(oldest or 0, self.reach or 0)
        if oldest is None:
            return f"d.{self.daily.add(expression)}"
        within = f"a.day > {self.day()} - {self.days(oldest)}"
        if skip:
            within += f" AND a.day <= {self.day()} - {self.days(skip)}"
        return f"d.{self.daily.add(f'{expression} FILTER (WHERE {within})')}"

    def of_progress(self, aggregate: str, *, items: str) -> str:
        """Return the aggregate over the Progress rows of the items that the condition names."""
        self.items.add(items)
        return f"g.{self.progress.add(aggregate)}"
