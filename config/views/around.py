"""What the page before and after shows of a segment in a course: groups, outcomes, a holdout."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from time import monotonic

from activity.models import Course
from common.clock import local_midnight
from common.dates import day_text
from experiments.metrics.around import metrics_around
from experiments.metrics.definitions import Metric
from experiments.queries.around import (
    KnownEntries,
    control_enrollments,
    known_entries,
    pairs_around,
)
from experiments.reporting.around import (
    Around,
    Line,
    Pairs,
    around,
    held_out_line,
    reached_within,
    split_entries,
)
from experiments.reporting.around_text import Who, Without
from experiments.reporting.small_cells import FEWEST
from interventions.queries.segment_messages import HeldOut, held_out_entries, messages_of_segment
from segmentation.models import Segment
from segmentation.queries import entries_by_rule, entries_of
from segmentation.rules import RuleError

# The latest entries of the segment in the course. More would take too long for a page.
MOST_ENTRIES = 20_000
# So long the rule is read on past days, the latest first.
SECONDS_FOR_RULE = 5


@dataclass(frozen=True)
class Asked:
    """The entries of the last weeks into a segment in a course, with so many days around each."""

    segment: Segment
    course: Course
    days: int
    weeks: int
    as_of: datetime

    @property
    def window(self) -> timedelta:
        """Return the days before and after as 24-hour days."""
        return timedelta(hours=24 * self.days)

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """Return the outcomes that are looked at."""
        return metrics_around(self.days)

    @property
    def since(self) -> datetime:
        """Return the beginning of the weeks, but never so early that the course has no days before.

        Else the first entry of many learners would be one that cannot be counted.
        """
        began = local_midnight(self.course.starts_on, self.course.time_zone)
        return max(self.as_of - timedelta(weeks=self.weeks), began + self.window)

    def entered(self) -> dict[int, datetime]:
        """Return the entries. One query."""
        return entries_of(
            self.segment.pk, self.course, since=self.since, until=self.as_of, most=MOST_ENTRIES
        )

    def known(self, starts: Mapping[int, datetime]) -> KnownEntries:
        """Return those whose days before and after are known. One query."""
        return known_entries(starts, self.course, window=self.window, as_of=self.as_of)


@dataclass(frozen=True)
class HoldoutFound:
    """The latest holdout with its numbers of learners, and its outcomes after the entry."""

    name: str
    since: str
    held_out: int
    others: int
    lines: list[Line]


@dataclass(frozen=True)
class Found:
    """What was counted: the numbers of learners, the outcomes, and those of a holdout."""

    who: Who
    outcomes: list[Around]
    holdout: HoldoutFound | None


@dataclass(frozen=True)
class _Groups:
    kind: Without
    without: dict[int, datetime]
    with_messages: dict[int, datetime]


def found_around(asked: Asked) -> Found:
    """Return the outcomes around the entries. At most ten queries, 40 more to read a rule."""
    known = asked.known(asked.entered())
    messages = messages_of_segment(asked.segment.pk, asked.course)
    first_at = min((at for times in messages.values() for at in times), default=None)
    split = split_entries(known.starts, messages, window=asked.window)
    # Before any message goes out, both groups of a holdout are without one.
    held = held_out_entries(split.since, asked.course) if split.since else None
    apart = control_enrollments(asked.segment, split.since)
    apart |= set(held.held_out if held else ())
    since = {each: at for each, at in split.since.items() if each not in apart}
    reached = reached_within(since, messages, window=asked.window)
    groups = _groups(asked, split.earlier, since, reached=reached, first_at=first_at)
    pairs = _pairs(asked, known.starts)
    by_rule = _pairs(asked, groups.without) if groups.kind is Without.RULE else pairs
    who = Who(
        groups.kind,
        asked.days,
        day_text(first_at, zone=asked.course.time_zone) if first_at else "",
        without=len(groups.without),
        with_messages=len(groups.with_messages),
        reached=len(reached & set(groups.with_messages)),
        new=known.new,
        not_ended=known.not_ended,
        over=known.over,
        between=split.between,
        control=len(apart),
    )
    outcomes = [
        around(each, _of(by_rule, each, groups.without), _of(pairs, each, groups.with_messages))
        for each in asked.metrics
    ]
    return Found(who, outcomes, _holdout(asked, held, pairs) if held else None)


def _groups(
    asked: Asked,
    earlier: dict[int, datetime],
    since: dict[int, datetime],
    *,
    reached: set[int],
    first_at: datetime | None,
) -> _Groups:
    """Return who stands for learners without a message, and who for those with messages."""
    if first_at is None:
        return _Groups(Without.ALL, earlier, {})
    if len(earlier) >= FEWEST:
        return _Groups(Without.EARLIER, earlier, since)
    by_rule = _by_rule(asked, first_at)
    # A learner counts once, by the first entry.
    later = {each: at for each, at in since.items() if each not in by_rule}
    if min(len(by_rule), len(later)) >= FEWEST:
        return _Groups(Without.RULE, by_rule, later)
    got = {each: at for each, at in since.items() if each in reached}
    others = {each: at for each, at in since.items() if each not in reached}
    if min(len(got), len(others)) >= FEWEST:
        return _Groups(Without.UNSENT, others, got)
    return _Groups(Without.NOBODY, {}, since)


def _by_rule(asked: Asked, first_at: datetime) -> dict[int, datetime]:
    """Return whom the rule would have let in long enough before the first message."""
    until = monotonic() + SECONDS_FOR_RULE
    try:
        found = entries_by_rule(
            asked.segment,
            asked.course,
            since=asked.since,
            until=first_at,
            out_of_time=lambda: monotonic() > until,
        )
    except RuleError:
        return {}
    known = asked.known(found).starts
    return {each: at for each, at in known.items() if at + asked.window <= first_at}


def _pairs(asked: Asked, starts: Mapping[int, datetime]) -> dict[str, Pairs]:
    return pairs_around(starts, metrics=asked.metrics, as_of=asked.as_of)


def _of(pairs: Mapping[str, Pairs], metric: Metric, among: Mapping[int, datetime]) -> Pairs:
    return {each: pairs[metric.key][each] for each in among}


def _holdout(asked: Asked, held: HeldOut, pairs: Mapping[str, Pairs]) -> HoldoutFound:
    found: Sequence[Line | None] = [
        held_out_line(each, _of(pairs, each, held.held_out), _of(pairs, each, held.others))
        for each in asked.metrics
    ]
    return HoldoutFound(
        held.holdout.name,
        day_text(held.holdout.starts_at, zone=asked.course.time_zone),
        len(held.held_out),
        len(held.others),
        [line for line in found if line is not None],
    )
