"""Every signal of one learner from a list of acts: slow, plain, without SQL. Pure.

It is written from the definitions and not from the compiler, so that the proof finds faults.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from itertools import pairwise
from math import sqrt
from typing import Any
from zoneinfo import ZoneInfo

from activity.models import Course, Enrollment, Item
from common.clock import local_midnight
from segmentation.proof.log import Act, LogReading
from segmentation.signals import SignalRef, SignalValue

HOUR = 3600.0
ONE_DAY = timedelta(days=1)
# How far ahead a counted quiz may be due, and how long after its due day a module is open.
QUIZ_AHEAD = timedelta(days=7)
OPEN_AFTER_DUE = timedelta(days=14)
COMPLETING = {
    "module": "COMPLETE_MODULE",
    "quiz": "ATTEMPT_QUIZ",
    "assignment": "SUBMIT_ASSIGNMENT",
}
VIEWS = ("VIEW_MODULE", "VIEW_ITEM", "PLAY_VIDEO", "DOWNLOAD_RESOURCE")


@dataclass(frozen=True)
class World:
    """A course with its items and all its acts."""

    course: Course
    items: Sequence[Item]
    acts: Sequence[Act] = field(default_factory=list)
    _norms: dict[date, "PlainNorms"] = field(default_factory=dict, compare=False)

    def local_day(self, instant: datetime) -> date:
        return instant.astimezone(ZoneInfo(self.course.time_zone)).date()

    def norms(self, day: date) -> "PlainNorms":
        """Return the norms of the day, computed once."""
        if day not in self._norms:
            completed = completed_by_somebody(self, day)
            self._norms[day] = PlainNorms(completed, *paces(self, day), *lives(self, day))
        return self._norms[day]

    def modules(self, day: date) -> list[Item]:
        return [item for item in self.items if item.kind == "module" and is_assigned(item, day)]


@dataclass(frozen=True)
class PlainNorms:
    """What somebody had completed, the medians and paces, and the last acts and their numbers."""

    completed: set[int]
    medians: dict[int, float]
    paces: dict[Enrollment, float]
    last_acts: list[datetime]
    numbers: list[int]


def is_assigned(item: Item, day: date) -> bool:
    return item.assigned_on is None or item.assigned_on <= day


def median(values: Sequence[float]) -> float:
    """Return the median, equal to percentile_cont to the last bit."""
    ordered, half = sorted(values), (len(values) - 1) / 2
    low, high = ordered[int(half)], ordered[int(half + 0.5)]
    return low if low == high else low + (half - int(half)) * (high - low)


def first(instants: Sequence[datetime]) -> datetime | None:
    return min(instants, default=None)


class LearnerReading(LogReading):
    """One enrollment's acts up to an instant, and every signal of them."""

    def __init__(self, world: World, enrollment: Enrollment, as_of: datetime) -> None:
        self.world, self.enrollment, self.as_of = world, enrollment, as_of
        self.day = world.local_day(as_of)
        self.local_day = world.local_day
        self.log = [
            act for act in world.acts if act.enrollment == enrollment and act.occurred_at <= as_of
        ]
        self.acts = [act for act in self.log if act.is_act]
        starts_at = local_midnight(world.course.starts_on, world.course.time_zone)
        self.began_at = max(enrollment.enrolled_at, starts_at)

    def value(self, ref: SignalRef) -> SignalValue:
        """Return the signal."""
        found: SignalValue = getattr(self, ref.signal.name)(ref.window, *ref.args)
        return found

    def last(self, window: int | None, *, skip: int = 0) -> list[Act]:
        """Return the acts of the last N days, or of the N days before the last `skip` days."""
        if window is None:
            return self.acts
        newest = self.day - timedelta(days=skip)
        oldest = newest - timedelta(days=window - 1)
        return [
            act for act in self.acts if oldest <= self.world.local_day(act.occurred_at) <= newest
        ]

    def completed_at(self, item: Item) -> datetime | None:
        verb = COMPLETING.get(item.kind, "COMPLETE_ITEM")
        return first(
            [act.occurred_at for act in self.acts if act.item == item and act.verb == verb]
        )

    def touches(self, module: Item, acts: Sequence[Act]) -> list[datetime]:
        return [
            act.occurred_at
            for act in acts
            if act.item and (act.item == module or act.item.parent_id == module.pk)
        ]

    def total(self, verbs: Sequence[str], window: int | None, *, skip: int = 0) -> int:
        return sum(act.count for act in self.last(window, skip=skip) if act.verb in verbs)

    def scored(self, window: int | None) -> list[float]:
        return [
            act.score
            for act in self.last(window)
            if act.verb == "ATTEMPT_QUIZ" and act.score is not None
        ]

    def active_days(self, window: int) -> SignalValue:
        return len({self.world.local_day(act.occurred_at) for act in self.last(window)})

    def logins(self, window: int) -> SignalValue:
        return self.total(["LOGIN"], window)

    def content_views(self, window: int) -> SignalValue:
        return self.total(VIEWS, window)

    def video_plays(self, window: int) -> SignalValue:
        return self.total(["PLAY_VIDEO"], window)

    def downloads(self, window: int) -> SignalValue:
        return self.total(["DOWNLOAD_RESOURCE"], window)

    def assignments_started(self, window: int) -> SignalValue:
        return self.total(["START_ASSIGNMENT"], window)

    def quiz_attempts(self, window: int) -> SignalValue:
        return self.total(["ATTEMPT_QUIZ"], window)

    def quiz_attempts_change(self, window: int) -> SignalValue:
        attempts = ["ATTEMPT_QUIZ"]
        return self.total(attempts, window) - self.total(attempts, window, skip=window)

    def quiz_attempt_rate(self, window: int) -> SignalValue:
        recent = self.last(window)
        offered = [
            item
            for item in self.world.items
            if item.kind == "quiz"
            and item.parent is not None
            and is_assigned(item, self.day)
            and (item.due_on is None or item.due_on <= self.day + QUIZ_AHEAD)
            and self.touches(item.parent, recent)
        ]
        attempted = {act.item.pk for act in recent if act.verb == "ATTEMPT_QUIZ" and act.item}
        return self.share([item.pk in attempted for item in offered])

    def quiz_pass_rate(self, window: int | None) -> SignalValue:
        mark = float(self.world.course.pass_mark)
        return self.share([score >= mark for score in self.scored(window)])

    def average_score(self, window: int | None) -> SignalValue:
        scores = self.scored(window)
        # In millionths, as scores are stored. Sums of floats would depend on the order.
        total = sum(round(score * 10**6) for score in scores) / 10**6
        return total / len(scores) if scores else None

    def modules_completed(self, window: int | None) -> SignalValue:
        found = [self.completed_at(item) for item in self.world.items if item.kind == "module"]
        days = [self.world.local_day(at) for at in found if at is not None]
        if window is None:
            return len(days)
        return sum(day > self.day - timedelta(days=window) for day in days)

    def completion_rate(self, _: int | None) -> SignalValue:
        modules = self.world.modules(self.day)
        return self.share([self.completed_at(module) is not None for module in modules])

    def owed(self, window: int | None) -> list[Item]:
        """Return the activities owed over the last N days before the grace (None: all)."""
        last = self.day - timedelta(days=self.world.course.grace_days)
        first_day = date.min if window is None else last - timedelta(days=window - 1)
        enrolled_on = self.world.local_day(self.enrollment.enrolled_at)
        known = self.world.norms(self.day).completed
        return [
            item
            for item in self.world.items
            if item.kind != "module"
            and (owed_on := item.due_on or item.assigned_on) is not None
            and max(first_day, enrolled_on) <= owed_on <= last
            and item.pk in known
        ]

    def activities_completed_rate(self, window: int | None) -> SignalValue:
        return self.share([self.completed_at(item) is not None for item in self.owed(window)])

    def activities_overdue(self, _: int | None) -> SignalValue:
        return sum(self.completed_at(item) is None for item in self.owed(None))

    def days_since_activity(self, _: int | None) -> SignalValue:
        return self.days_since([act.occurred_at for act in self.acts])

    def days_since_quiz_attempt(self, _: int | None) -> SignalValue:
        return self.days_since([act.occurred_at for act in self.acts if act.verb == "ATTEMPT_QUIZ"])

    def days_since_completion(self, _: int | None) -> SignalValue:
        found = [self.completed_at(item) for item in self.world.items if item.kind == "module"]
        return self.days_since([at for at in found if at is not None])

    def modules_open(self, _: int | None) -> SignalValue:
        return sum(
            self.completed_at(module) is None
            and (module.due_on is None or self.day <= module.due_on + OPEN_AFTER_DUE)
            for module in self.world.modules(self.day)
        )

    def modules_stalled(self, window: int) -> SignalValue:
        return sum(
            self.completed_at(module) is None
            and bool(self.touches(module, self.acts))
            and not self.touches(module, self.last(window))
            for module in self.world.modules(self.day)
        )

    def pace_percentile(self, _: int | None) -> SignalValue:
        norms = self.world.norms(self.day)
        medians, by_learner = norms.medians, norms.paces
        own, all_paces = self.pace(medians), list(by_learner.values())
        if own is None or not all_paces:
            return None
        if any(2 * all_paces.count(pace) > len(all_paces) for pace in all_paces):
            return None
        others = [pace for learner, pace in by_learner.items() if learner != self.enrollment]
        below = sum(pace < own for pace in all_paces)
        return (below + others.count(own) / 2) / len(all_paces)

    def pace(self, medians: dict[int, float]) -> float | None:
        relative = [
            seconds / medians[item_id]
            for item_id, seconds in self.durations().items()
            if item_id in medians
        ]
        return round(median(relative) * 1e9) / 1e9 if relative else None

    def durations(self) -> dict[int, float]:
        """Return the seconds from first touch to completion, at least an hour, by module."""
        found = {}
        for module in (item for item in self.world.items if item.kind == "module"):
            completed_at = self.completed_at(module)
            if completed_at is not None:
                spent = completed_at - min(self.touches(module, self.acts))
                found[module.pk] = max(spent.total_seconds(), HOUR)
        return found

    def active_on(self, window: int | None) -> set[date]:
        return {self.world.local_day(act.occurred_at) for act in self.last(window)}

    def recency_score(self, _: int | None) -> SignalValue:
        last = max((act.occurred_at for act in self.acts), default=None)
        return score(last, self.world.norms(self.day).last_acts)

    def frequency_score(self, _: int | None) -> SignalValue:
        number = sum(act.count for act in self.acts)
        return score(number or None, self.world.norms(self.day).numbers)

    def days_enrolled(self, _: int | None) -> SignalValue:
        return self.days_since([])

    def streak_days(self, _: int | None) -> SignalValue:
        active, length = self.active_on(None), 0
        newest = self.day if self.day in active else self.day - ONE_DAY
        while newest - length * ONE_DAY in active:
            length += 1
        return length

    def longest_gap_days(self, window: int) -> SignalValue:
        longest = length = 0
        enrolled_on = self.world.local_day(self.enrollment.enrolled_at)
        first_day = max(
            self.day - timedelta(days=window - 1), enrolled_on, self.world.course.starts_on
        )
        for number in range((self.day - first_day).days + 1):
            is_active = first_day + number * ONE_DAY in self.active_on(window)
            length = 0 if is_active else length + 1
            longest = max(longest, length)
        return longest

    def gap_deviation(self, window: int) -> SignalValue:
        days = sorted(self.active_on(window))
        gaps = [(later - earlier).days for earlier, later in pairwise(days)]
        if len(gaps) < 2:
            return None
        # The textbook's n sum(x^2) - (sum x)^2 over n (n - 1).
        above = len(gaps) * sum(gap * gap for gap in gaps) - sum(gaps) ** 2
        return sqrt(above / (len(gaps) * (len(gaps) - 1)))

    def resource_to_assessment_ratio(self, window: int) -> SignalValue:
        attempts = self.total(["ATTEMPT_QUIZ"], window)
        used = self.total(["PLAY_VIDEO", "DOWNLOAD_RESOURCE"], window)
        return used / attempts if attempts else None

    def trait(self, _: int | None, key: str) -> SignalValue:
        learner, own = self.enrollment.learner.traits, self.enrollment.traits
        value = own[key] if key in own else learner.get(key)
        return None if value == [] else value

    def days_since(self, instants: Sequence[datetime]) -> float:
        since = max([*instants, self.began_at])
        return (self.as_of - since).total_seconds() / 86_400

    @staticmethod
    def share(hits: Sequence[bool]) -> float | None:
        return sum(hits) / len(hits) if hits else None


def readings_before(world: World, day: date) -> list[LearnerReading]:
    """Return a reading of each learner with any act, as of the beginning of the day."""
    before = local_midnight(day, world.course.time_zone) - timedelta(microseconds=1)
    learners = dict.fromkeys(act.enrollment for act in world.acts)
    return [LearnerReading(world, learner, before) for learner in learners]


def completed_by_somebody(world: World, day: date) -> set[int]:
    """Return the activities that somebody had completed before the day began."""
    return {
        item.pk
        for item in world.items
        if item.kind != "module" and (item.due_on or item.assigned_on)
        for reading in readings_before(world, day)
        if reading.completed_at(item) is not None
    }


def lives(world: World, day: date) -> tuple[list[datetime], list[int]]:
    """Return the last act and the number of acts of each learner who acted before the day."""
    found = [reading.acts for reading in readings_before(world, day) if reading.acts]
    return (
        [max(act.occurred_at for act in acts) for acts in found],
        [sum(act.count for act in acts) for acts in found],
    )


def score(own: Any, others: Sequence[Any]) -> int | None:
    """Return the fifth of a value: 1, and one more for each cut below it."""
    if not others:
        return None
    ordered, number = sorted(others), len(others)
    # The smallest value that is not below one, two, three and four fifths of all.
    cuts = [ordered[-(-fifth * number // 5) - 1] for fifth in (1, 2, 3, 4)]
    return 1 if own is None else 1 + sum(own > cut for cut in cuts)


def paces(world: World, day: date) -> tuple[dict[int, float], dict[Enrollment, float]]:
    """Return the module medians and each learner's pace at the beginning of the day."""
    readings = readings_before(world, day)
    by_module: dict[int, list[float]] = {}
    for reading in readings:
        for item_id, seconds in reading.durations().items():
            by_module.setdefault(item_id, []).append(seconds)
    medians = {item_id: median(seconds) for item_id, seconds in by_module.items()}
    found = {reading.enrollment: reading.pace(medians) for reading in readings}
    return medians, {learner: pace for learner, pace in found.items() if pace is not None}
