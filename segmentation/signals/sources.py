"""Collect the sources that the signals of one statement read, while they are compiled. Pure.

Aliases have the same meaning in every part of every statement:

    k  `part`: a course, the instant, and what is given about it; the rest is read for one row of it
    c  `course`: the course, its local day and instants; one row
    s  `scope`: the enrollments, one row each; `live`, alias l, has those in scope
    a  a day of an enrollment, from DailyActivity; d has its aggregates, one row per enrollment
    i  an item, from activity_item
    p  an enrollment's Progress on an item, with the columns of `item`; g has its aggregates
    w  `pace`: an enrollment's pace now and when the day began
    t  a learner, from activity_learner
    v  an event, from activity_event; b has the aggregates of the log, one row per enrollment
    r  the reading: s with the columns of the signals, s0, s1 and so on

Other letters are used only within one table expression.
"""

# Every value is bound; only constants of this package are put into the text.
# ruff: noqa: S608

from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum

from activity.local_time import local_midnight_of as midnight
from segmentation.norms import NormsValues
from segmentation.signals.needs import Need, UndeclaredNeedError
from segmentation.sql import Params

# Conditions for items. A quiz that is due more than a week ahead does not count against a learner.
# A module that is never completed, such as an exam's, counts as open until 14 days after its due
# day.
MODULES = "i.kind = 'module'"
QUIZZES = "i.kind = 'quiz'"
IS_ASSIGNED = "(i.assigned_on IS NULL OR i.assigned_on <= c.day_on)"
IS_QUIZ_ASKED = (
    f"(i.kind = 'quiz' AND {IS_ASSIGNED} AND (i.due_on IS NULL OR i.due_on <= c.day_on + 7))"
)
IS_OPEN = f"({IS_ASSIGNED} AND (i.due_on IS NULL OR i.due_on + 14 >= c.day_on))"


class LeftOut(StrEnum):
    """Which of the events received since the last evaluation a reading leaves out."""

    ALL = "all"
    LATE = "late"
    FRESH = "fresh"


@dataclass(frozen=True)
class Subject:
    """A course of a reading, the instant, and the enrollments (None: all of the course).

    `norms` are those of the course's day, None if no signal needs them. If several courses are read
    together, it is the day whose stored norms are used.
    """

    course_id: int
    as_of: datetime
    enrollment_ids: list[int] | None
    norms: NormsValues | date | None = None


@dataclass
class Columns:
    """Named SQL expressions. An expression that is added again keeps its name."""

    prefix: str
    names: dict[str, str] = field(default_factory=dict)

    def add(self, expression: str) -> str:
        """Return the expression's column name."""
        return self.names.setdefault(expression, f"{self.prefix}{len(self.names)}")

    def select(self) -> list[str]:
        return [f"{expression} AS {name}" for expression, name in self.names.items()]


@dataclass
class Sources:
    """The sources that the signals of one statement read, collected while they are compiled.

    `is_whole`: all enrollments of a course are read, and not only those that are given.
    `is_single`: one course is read, and the plan can go by what is given. `facts` are values of the
    course. `daily`, `progress` and `log` are aggregates per enrollment. Nothing here depends
    on the courses and instants that are read, so one text serves all of them.
    """

    is_whole: bool = True
    is_single: bool = True
    left_out: LeftOut | None = None
    params: Params = field(default_factory=Params)
    facts: Columns = field(default_factory=lambda: Columns("f"))
    daily: Columns = field(default_factory=lambda: Columns("d"))
    progress: Columns = field(default_factory=lambda: Columns("g"))
    log: Columns = field(default_factory=lambda: Columns("b"))
    # The verbs of the log that are needed, as bound texts, and for how many days back. None: all.
    verbs: set[str] = field(default_factory=set)
    log_reach: int | None = 0
    # Whether the items of the events are needed.
    names_items: bool = False
    # For how many days back the daily rows are needed. None: all of them.
    reach: int | None = 0
    # For how many days back the last touch of an item is needed. 0: not at all.
    touch_reach: int = 0
    # The items that are needed, as SQL conditions over the alias i of activity_item.
    items: set[str] = field(default_factory=set)
    # The needs of all signals, and the needs of the signal that is being compiled.
    needs: frozenset[Need] = frozenset()
    granted: frozenset[Need] = frozenset()

    def grant(self, needs: frozenset[Need]) -> None:
        """Let the signal that is compiled next read only its declared needs."""
        self.granted = needs
        self.needs |= needs

    @property
    def as_of(self) -> str:
        return "k.as_of"

    def days(self, window: int) -> str:
        return self.params.bind(window, "int")

    def fact(self, expression: str) -> str:
        """Return SQL for a fact of the course."""
        return f"(SELECT {self.facts.add(expression)} FROM fact)"

    def day(self) -> str:
        """Return SQL for D, the course-local date of as_of."""
        return "(SELECT day_on FROM course)"

    def since(self, window: int) -> str:
        """Return SQL for the instant at which the last N days begin."""
        return self.fact(midnight(f"(c.day_on - {self.days(window)} + 1)", "c.time_zone"))

    def touched_since(self, window: int) -> str:
        """Return the same SQL as `since`, for comparisons with an item's last touch or attempt.

        A last touch before this instant may be inexact, because at a past instant the read models
        do not know it.
        """
        self.touch_reach = max(self.touch_reach, window)
        return self.since(window)

    def log_since(self) -> str:
        """Return SQL for the instant from which a reading of the past needs the event log.

        The read models are complete for days before D, and first touches and completions are the
        same at any instant.
        """
        return self.since(max(self.touch_reach, 1))

    def sum_of_day(
        self, expression: str, window: int | None, *, skip: int = 0, where: str = ""
    ) -> str:
        """Return the aggregate of daily rows over the last N days, or over the N before `skip`.

        Only rows that meet the condition `where` count.
        """
        self._check(Need.DAILY)
        oldest = None if window is None else window + skip
        self.reach = None if None in (oldest, self.reach) else max(oldest or 0, self.reach or 0)
        within = [where] if where else []
        if oldest is not None:
            within.append(f"a.day > {self.day()} - {self.days(oldest)}")
        if skip:
            within.append(f"a.day <= {self.day()} - {self.days(skip)}")
        only = f" FILTER (WHERE {' AND '.join(within)})" if within else ""
        return f"d.{self.daily.add(f'{expression}{only}')}"

    def of_progress(self, aggregate: str, *, items: str) -> str:
        """Return the aggregate over the Progress rows of the items that meet the condition."""
        self._check(Need.PROGRESS)
        self.items.add(items)
        return f"g.{self.progress.add(aggregate)}"

    def of_log(self, aggregate: str, window: int | None, *, verb: str, where: str = "") -> str:
        """Return the aggregate over the events with the verb of the last N days (None: of all).

        Only events that meet the condition `where` count. It may name the item i of the event and
        the module h of that item.
        """
        self._check(Need.LOG)
        bound = self.params.bind(verb, "text")
        self.verbs.add(bound)
        reach = (window, self.log_reach)
        self.log_reach = None if None in reach else max(each or 0 for each in reach)
        self.names_items |= "i." in where
        within = [f"v.verb = {bound}"]
        within += [] if window is None else [f"v.occurred_at >= {self.since(window)}"]
        within += [where] if where else []
        only = f"FILTER (WHERE {' AND '.join(within)})"
        return f"b.{self.log.add(f'{aggregate} {only}')}"

    def pace(self) -> tuple[str, str]:
        """Return SQL for the learner's pace now, and for the pace when the day began."""
        self._check(Need.PACE)
        self.items.add(MODULES)
        return "w.pace", "w.pace_before"

    def trait(self, key: str) -> str:
        """Return SQL for the stored trait, as jsonb."""
        self._check(Need.TRAITS)
        # The enrollment's traits replace the learner's, which may come from a later course.
        return f"(t.traits || s.traits) -> {self.params.bind(key, 'text')}"

    def norm(self, name: str, need: Need = Need.NORMS) -> str:
        """Return SQL for a norm of the course's day, a column of `part`."""
        self._check(need)
        return f"k.{name}"

    def _check(self, need: Need) -> None:
        if need not in self.granted:
            raise UndeclaredNeedError(f"a signal reads {need}, which its row does not declare")
