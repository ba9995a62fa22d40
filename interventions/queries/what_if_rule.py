"""Replay the last 30 days of a segment under a rule that is not saved: entries and messages."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import NamedTuple

from activity.access import Viewer
from activity.models import Course
from common.clock import begin_of_days, local_date, local_midnight
from common.dates import day_text
from interventions.models import Cadence, CadenceStatus, Delivery, Reentry, Run, Trigger
from interventions.queries.what_if import DAY, end_of_period
from segmentation.models import TransitionCause
from segmentation.queries import TypedRules, courses_of_playbook, replay_rule, would_enter
from segmentation.queries.replay import DAYS
from segmentation.replay import Fate, Replay

MOST_COURSES = 10
MOST_MESSAGES = 10_000
# Each instant takes a query. The other entries are judged by the end of their day.
MOST_INSTANTS = 40


@dataclass(frozen=True)
class RuleEffect:
    """What the typed rule would have done in one course.

    `fewer`, `later` and `sooner` count messages of `messages`, which went out. `more` counts runs.
    """

    course: Course
    replay: Replay
    until: datetime
    is_past: bool
    messages: int
    fates: Counter[Fate]
    more: int

    @property
    def before(self) -> int:
        """Return how many learners enter as it is."""
        return len(self.replay.entered_before)

    @property
    def after(self) -> int:
        """Return how many learners enter with the change."""
        return len(self.replay.entered_after)

    @property
    def learners(self) -> int:
        """Return how many learners have a stay only as it is or only with the change."""
        alone = [*self.replay.only_before, *self.replay.only_after]
        return len({enrollment_id for enrollment_id, _ in alone})

    @property
    def notes(self) -> list[str]:
        """Return in words what was replayed, where it is not the last 30 days of all learners."""
        replay, found = self.replay, []
        if self.is_past:
            found.append(f"up to {day_text(self.until, zone=self.course.time_zone)}")
        if len(replay.days) < DAYS:
            found.append(f"only {len(replay.days)} days, because it is large")
        if replay.chosen is not None:
            found.append(f"a sample of {len(replay.chosen):,} of {replay.of:,} learners")
        return found

    @property
    def fewer(self) -> int:
        """Return how many messages would not have gone out."""
        return self.fates[Fate.NEVER]

    @property
    def later(self) -> int:
        """Return how many messages would have gone out on a later day."""
        return self.fates[Fate.LATER]

    @property
    def sooner(self) -> int:
        """Return how many messages would have gone out on an earlier day."""
        return self.fates[Fate.SOONER]


@dataclass(frozen=True)
class RuleWhatIf:
    """The effects by course that the viewer may see. `left_out` courses were too many to replay.

    `has_arms`: some cadences are for an arm only, so it is not known whether they would start.
    """

    effects: list[RuleEffect]
    left_out: int
    has_arms: bool


class _Sent(NamedTuple):
    """A message that went out, and the entry that began its run."""

    run_id: int
    enrollment_id: int
    entered_at: datetime
    cause: str


def what_if_rule(
    tried: TypedRules, *, viewer: Viewer, now: datetime, clock: Callable[[], float], seconds: float
) -> RuleWhatIf:
    """Return what the typed rules would have done in the courses of the segment's playbook.

    Where the clock stands still or the course is over, the days before that are replayed. `clock`
    counts seconds. When a course's share of `seconds` is over, fewer days are read in it. In each
    course: what `replay_rule` takes, up to 40 instants of entries, and two more queries.
    """
    kept = courses_of_playbook(tried.segment.playbook_id, viewer=viewer)
    courses, number = list(kept[:MOST_COURSES]), kept.count()
    cadences = _cadences(tried)
    end, stop = end_of_period(now), clock() + seconds
    effects = []
    for place, course in enumerate(courses):
        share = (stop - clock()) / (len(courses) - place)
        trial = _Trial(tried, course, cadences, _alarm(clock, clock() + share))
        effects.append(trial.effect(_until(course, end), now=now))
    has_arms = any(each.arm_id for each in cadences)
    return RuleWhatIf(effects, number - len(courses), has_arms)


def _alarm(clock: Callable[[], float], at: float) -> Callable[[], bool]:
    return lambda: clock() > at


def _cadences(tried: TypedRules) -> list[Cadence]:
    """Return the cadences that entering the segment starts, also those of earlier days."""
    if not tried.segment.pk:
        return []
    return list(Cadence.objects.filter(segment=tried.segment, trigger=Trigger.ENTER))


def _until(course: Course, end: datetime) -> datetime:
    """Return the end of the period in the course: its clock or its end, if they are earlier."""
    over = local_midnight(course.ends_on + DAY, course.time_zone) - timedelta(microseconds=1)
    return min(course.clock_stopped_at or end, over)


@dataclass(frozen=True)
class _Trial:
    """The replay in one course."""

    tried: TypedRules
    course: Course
    cadences: Sequence[Cadence]
    out_of_time: Callable[[], bool]

    def effect(self, until: datetime, *, now: datetime) -> RuleEffect:
        """Return the effect in the days up to the instant."""
        replay = replay_rule(self.tried, self.course, until=until, out_of_time=self.out_of_time)
        sent = self._sent(replay, until)
        fates = self._fates(replay, set(sent))
        return RuleEffect(
            course=self.course,
            replay=replay,
            until=until,
            is_past=until < now - DAY,
            messages=len(sent),
            fates=Counter(fates[each] for each in sent),
            more=self._more(replay),
        )

    def _day(self, instant: datetime) -> date:
        return local_date(instant, self.course.time_zone)

    def _sent(self, replay: Replay, until: datetime) -> list[_Sent]:
        """Return the messages that went out in the days, of runs that an entry began in them."""
        since = begin_of_days(len(replay.days), as_of=until, zone=self.course.time_zone)
        rows = Delivery.objects.filter(
            step__cadence__in=self.cadences,
            enrollment__course=self.course,
            ghost=False,
            claimed_at__range=(since, until),
            run__transition__occurred_at__range=(since, until),
        )
        if replay.chosen is not None:
            rows = rows.filter(enrollment__in=replay.chosen)
        names = ("run", "enrollment", "run__transition__occurred_at", "run__transition__cause")
        return [
            _Sent(*row) for row in rows.order_by("-claimed_at").values_list(*names)[:MOST_MESSAGES]
        ]

    def _fates(self, replay: Replay, sent: set[_Sent]) -> dict[_Sent, Fate]:
        """Return what the change makes of each run."""
        fates = {each: replay.fate(each.enrollment_id, self._day(each.entered_at)) for each in sent}
        # Staff let them in, whatever the rule says.
        fates |= {each: Fate.SAME for each in sent if each.cause == TransitionCause.MANUAL}
        unsure = [each for each in sent if fates[each] in (Fate.LATER, Fate.NEVER)]
        return fates | dict.fromkeys(self._entering(unsure), Fate.SAME)

    def _entering(self, unsure: Iterable[_Sent]) -> Iterable[_Sent]:
        """Yield those whom the typed rule too let enter at the instant at which they entered.

        Between two ends of days, a learner may enter and leave again.
        """
        by_instant: dict[datetime, list[_Sent]] = defaultdict(list)
        for each in unsure:
            by_instant[each.entered_at].append(each)
        for at in sorted(by_instant, reverse=True)[:MOST_INSTANTS]:
            if self.out_of_time():
                return
            ids = [each.enrollment_id for each in by_instant[at]]
            found = would_enter(self.tried, self.course, enrollment_ids=ids, at=at)
            yield from (each for each in by_instant[at] if each.enrollment_id in found)

    def _more(self, replay: Replay) -> int:
        """Return how many runs more would have begun, in a course that was live."""
        since = self.course.live_since
        entries = [
            enrollment_id
            for enrollment_id, day in replay.only_after
            if since is not None and day >= self._day(since)
        ]
        starting = [
            each
            for each in self.cadences
            if each.status == CadenceStatus.ACTIVE and each.arm_id is None
        ]
        runs = Run.objects.filter(enrollment__in=set(entries), cadence__in=starting)
        had = set(runs.values_list("cadence", "enrollment"))
        return sum(_starts(each, entries, had) for each in starting)


def _starts(cadence: Cadence, entries: Sequence[int], had: set[tuple[int, int]]) -> int:
    """Return how many of the entries may start the cadence, before pauses between its runs."""
    if cadence.reentry != Reentry.NEVER:
        return len(entries)
    return sum((cadence.pk, enrollment_id) not in had for enrollment_id in set(entries))
