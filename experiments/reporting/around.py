"""Before and after for the learners of a segment: changes within learners, in words. Pure.

Learners enter a segment when they are at their worst or at their best, so most of them change
without any message. The page never calls a change a lift or an effect.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import isfinite, sqrt

from experiments.metrics.definitions import Metric
from experiments.reporting.around_kinds import LEVEL, kind_of, moments_of_changes
from experiments.reporting.figures import Figures, level_text
from experiments.reporting.small_cells import FEWEST
from experiments.stats.comparison import Comparison, compare_arms
from experiments.stats.estimate import Estimate, unknown
from experiments.stats.means import mean_difference
from experiments.stats.paired import FEWEST_PAIRS, TOO_FEW_PAIRS
from experiments.stats.sufficient import Counts, Moments

# The number of each enrollment before and after its instant.
Pairs = Mapping[int, tuple[int, int]]
_UNKNOWN = "not known"


@dataclass(frozen=True)
class Split:
    """Entries before any message, and since messages go out, by enrollment.

    `between` entered so shortly before the first message that it fell into their days after.
    """

    earlier: dict[int, datetime]
    since: dict[int, datetime]
    between: int


def split_entries(
    starts: Mapping[int, datetime],
    messages: Mapping[int, Sequence[datetime]],
    *,
    window: timedelta,
) -> Split:
    """Split the entries by the messages of the enrollments. Without any, all are before them.

    Messages go out since the first entry with a message in its days after: a message comes some
    time after the entry that starts it.
    """
    if not messages:
        return Split(dict(starts), {}, 0)
    first_at = min(at for times in messages.values() for at in times)
    reached = reached_within(starts, messages, window=window)
    begins_at = min((starts[each] for each in reached), default=first_at)
    earlier = {each: at for each, at in starts.items() if at + window <= first_at}
    since = {each: at for each, at in starts.items() if at >= begins_at}
    return Split(earlier, since, len(starts) - len(earlier) - len(since))


def reached_within(
    starts: Mapping[int, datetime],
    messages: Mapping[int, Sequence[datetime]],
    *,
    window: timedelta,
) -> set[int]:
    """Return the enrollments with a message in the window after their instant."""
    return {
        each
        for each, at in starts.items()
        if any(at <= sent < at + window for sent in messages.get(each, ()))
    }


@dataclass(frozen=True)
class Change:
    """How one outcome changed within the learners of a group.

    `moments` are those of the single changes. The spreads are the standard deviations of the
    numbers before and after.
    """

    metric: Metric
    n: int
    before: float
    after: float
    estimate: Estimate
    moments: Moments
    spread_before: float
    spread_after: float

    @property
    def comparison(self) -> Comparison:
        """Return the change as a comparison of two levels, for its figures."""
        unit = self.metric.family.unit
        return Comparison("", "", unit, self.after, self.before, self.estimate, self.estimate)


def change_of(metric: Metric, pairs: Sequence[tuple[int, int]]) -> Change | None:
    """Return the change of the outcome, None for fewer learners than a page may show."""
    if len(pairs) < FEWEST:
        return None
    before, after = (
        Moments.from_frequencies(Counter(pair[at] for pair in pairs).items()) for at in (0, 1)
    )
    return Change(
        metric,
        len(pairs),
        before.mean,
        after.mean,
        kind_of(metric).change(pairs),
        moments_of_changes(pairs),
        spread_before=sqrt(before.variance),
        spread_after=sqrt(after.variance),
    )


@dataclass(frozen=True)
class Line:
    """A group, or the difference of two groups' changes, as a row of a table."""

    name: str
    n: str
    before: str
    after: str
    change: str
    interval: str


@dataclass(frozen=True)
class Around:
    """One outcome of learners without and with messages. Either may be too few to be shown."""

    metric: Metric
    without: Change | None
    with_messages: Change | None

    @property
    def difference(self) -> Estimate | None:
        """Return the change with messages minus that without; None if either is hidden.

        It has no interval if either change is of too few learners to have one.
        """
        if self.without is None or self.with_messages is None:
            return None
        found = mean_difference(self.without.moments, self.with_messages.moments, level=LEVEL)
        if min(self.without.n, self.with_messages.n) < FEWEST_PAIRS:
            return unknown(found.value, level=LEVEL, reason=TOO_FEW_PAIRS)
        return found

    @property
    def changes(self) -> list[Change]:
        """Return the changes that may be shown."""
        return [each for each in (self.without, self.with_messages) if each is not None]

    @property
    def figures(self) -> Figures:
        """Return one format for all numbers of the outcome."""
        found = Figures.of([each.comparison for each in self.changes])
        if self.difference is None:
            return found
        apart = Figures.of_estimates([self.difference], found.unit)
        return max(found, apart, key=lambda each: each.decimals)


def around(metric: Metric, without: Pairs, with_messages: Pairs) -> Around:
    """Return the outcome of both groups."""
    return Around(
        metric,
        change_of(metric, list(without.values())),
        change_of(metric, list(with_messages.values())),
    )


def lines(found: Around, *, without: str, with_messages: str) -> Iterator[Line]:
    """Yield the rows of the outcome's table: both groups by name, and the difference of them."""
    if not found.changes:
        return
    figures = found.figures
    for name, change in ((without, found.without), (with_messages, found.with_messages)):
        if change is not None:
            yield Line(
                name,
                f"{change.n:,}",
                figures.level(change.before),
                figures.level(change.after),
                figures.change_with_unit(figures.apart(change.comparison)),
                _limits(change.estimate, figures),
            )
    if found.difference is not None:
        apart = figures.change_with_unit(_apart(found, figures))
        yield Line("Difference of the two", "", "", "", apart, _limits(found.difference, figures))


def by_itself(found: Around, *, days: int) -> str:
    """Return how the outcome changed without any message, in a sentence; empty if it is hidden."""
    change = found.without
    if change is None:
        return ""
    figures = found.figures
    moved = figures.change_with_unit(figures.apart(change.comparison))
    return (
        f"In the {days} days before they entered{kind_of(found.metric).verb} "
        f"{figures.level(change.before)} {found.metric.words}, and in the {days} days "
        f"after {figures.level(change.after)}: {moved}{_in_words(change.estimate, figures)}, "
        "without a message."
    )


def unknown_intervals(found: Around, *, without: str, with_messages: str) -> str:
    """Return which changes have no interval and why, in sentences; empty if all have one."""
    groups = ((without, found.without), (with_messages, found.with_messages))
    return " ".join(
        f"The interval of “{name}” is not known: {change.estimate.reason}."
        for name, change in groups
        if change is not None and not change.estimate.has_interval
    )


def verdict(found: Around) -> str:
    """Return what the difference of the two changes says, in a sentence; empty if it is hidden."""
    difference = found.difference
    if difference is None:
        return ""
    if not difference.has_interval:
        return "The two changes cannot be compared: too few learners are counted, or none changed."
    if not difference.excludes_zero:
        return "The two changes do not differ more than by chance."
    larger = "rose more, or fell less," if difference.value > 0 else "rose less, or fell more,"
    return (
        f"It {larger} since messages go out. Chance alone would rarely show as much, but another "
        "time of the course can."
    )


def _apart(found: Around, figures: Figures) -> float:
    """Return the difference of the two printed changes, so that the printed lines subtract."""
    if found.without is None or found.with_messages is None:
        return float("nan")
    with_messages, without = (
        round(figures.apart(each.comparison) * figures.unit.factor, figures.decimals)
        for each in (found.with_messages, found.without)
    )
    return (with_messages - without) / figures.unit.factor


def _limits(estimate: Estimate, figures: Figures) -> str:
    # Reasons of comparisons speak of arms and effects, and here are none.
    is_known = estimate.has_interval and isfinite(estimate.low) and isfinite(estimate.high)
    return figures.interval(estimate) if is_known else _UNKNOWN


def _in_words(estimate: Estimate, figures: Figures) -> str:
    if not estimate.has_interval:
        return ""
    return f" ({level_text(estimate.level)} interval {figures.interval(estimate)})"


def held_out_line(metric: Metric, held_out: Pairs, others: Pairs) -> Line | None:
    """Return the outcome after the entry of learners whom chance held out, and of the others.

    `before` of the line are those held out, `after` the others. None if either are too few to be
    shown.
    """
    if min(len(held_out), len(others)) < FEWEST:
        return None
    sums = {"held out": _sums(metric, held_out), "others": _sums(metric, others)}
    (found,) = compare_arms(sums, family=metric.family, control="held out", level=LEVEL)
    figures = Figures.of([found])
    return Line(
        metric.name,
        "",
        figures.level(found.control_level),
        figures.level(found.arm_level),
        figures.change_with_unit(figures.apart(found)),
        _limits(found.difference, figures),
    )


def _sums(metric: Metric, pairs: Pairs) -> Counts | Moments:
    return kind_of(metric).sums(Counter(number for _, number in pairs.values()))
