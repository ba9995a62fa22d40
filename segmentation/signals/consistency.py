"""Signals of consistency: streaks, gaps, and what learners use for each quiz attempt. Pure."""

# Every value is bound; only constants of this package are put into the text.
# ruff: noqa: S608

from segmentation.signals.shared import DAILY, rate
from segmentation.signals.sources import Sources
from segmentation.signals.types import Compiled, Signal, SignalKind, SignalRef, Window


def _active_days(window: int | None, sources: Sources) -> str:
    """Return SQL for the array of the days with an act, in any order; null if there is none."""
    return sources.sum_of_day("array_agg(a.day)", window, where="a.acts > 0")


def _streak(_: SignalRef, sources: Sources) -> Compiled:
    days = _active_days(None, sources)
    # From the newest day back, the n-th day of a streak is n - 1 days before it.
    streak = f"""(SELECT count(*) FROM (
            SELECT x.day, row_number() OVER (ORDER BY x.day DESC)::int AS place,
                max(x.day) OVER () AS newest
            FROM unnest({days}) AS x (day)
        ) y WHERE y.day + y.place = y.newest + 1 AND y.newest >= {sources.day()} - 1)"""
    return Compiled(streak)


def _longest_gap(ref: SignalRef, sources: Sources) -> Compiled:
    today, days = sources.day(), _active_days(ref.window, sources)
    first = f"{today} - {sources.days(ref.window or 0)} + 1"
    first = f"greatest({first}, s.enrolled_on, {sources.fact('c.starts_on')})"
    # Tomorrow ends the last gap, and the day before the first one begins the first gap.
    gap = f"x.day - lag(x.day, 1, {first} - 1) OVER (ORDER BY x.day) - 1"
    longest = f"""(SELECT max(y.gap) FROM (
            SELECT {gap} AS gap FROM unnest(array_append({days}, {today} + 1)) AS x (day)
            WHERE x.day >= {first}
        ) y)::bigint"""
    return Compiled(longest)


def _gap_deviation(ref: SignalRef, sources: Sources) -> Compiled:
    days = _active_days(ref.window, sources)
    number, total, squares = "count(y.gap)", "sum(y.gap)", "sum(y.gap * y.gap)"
    # From whole numbers, so that PostgreSQL and Python find the same float.
    above, below = f"{number} * {squares} - {total} * {total}", f"{number} * ({number} - 1)"
    deviation = f"""(SELECT CASE WHEN {number} >= 2
            THEN sqrt(({above})::float8 / ({below})::float8) END
        FROM (
            SELECT x.day - lag(x.day) OVER (ORDER BY x.day) AS gap FROM unnest({days}) AS x (day)
        ) y)"""
    return Compiled(deviation)


def _resources_per_attempt(ref: SignalRef, sources: Sources) -> Compiled:
    used = sources.sum_of_day("sum(a.plays::bigint + a.downloads)", ref.window)
    return Compiled(rate(used, sources.sum_of_day("sum(a.attempts)", ref.window)))


CONSISTENCY = (
    Signal(
        name="streak_days",
        kind=SignalKind.COUNT,
        window=Window.NONE,
        label="active days in a row",
        sentence="active on {amount} in a row",
        unit=("day", "days"),
        help="Active days in a row up to today, or up to yesterday if nothing was done today yet.",
        needs=DAILY,
        sql=_streak,
    ),
    Signal(
        name="longest_gap_days",
        kind=SignalKind.COUNT,
        window=Window.REQUIRED,
        label="longest gap",
        sentence="the longest time without an act {when} is {amount}",
        unit=("day", "days"),
        within_window=True,
        help="The most days in a row without an act among the last N days. Days before the "
        "enrollment and before the course start do not count.",
        needs=DAILY,
        sql=_longest_gap,
    ),
    Signal(
        name="gap_deviation",
        kind=SignalKind.NUMBER,
        window=Window.REQUIRED,
        label="spread of the times between active days",
        sentence="the times between active days {when} spread by {amount}",
        unit=("day", "days"),
        help="The sample standard deviation of the days from one active day to the next, among the "
        "active days of the last N days. Near 0 for a steady learner. Unknown with fewer than "
        "three active days.",
        unknown="there are fewer than three active days {when}",
        needs=DAILY,
        sql=_gap_deviation,
    ),
    Signal(
        name="resource_to_assessment_ratio",
        kind=SignalKind.NUMBER,
        window=Window.REQUIRED,
        label="resources used for each quiz attempt",
        sentence="used {amount} for each quiz attempt {when}",
        unit=("resource", "resources"),
        help="Video plays and downloads divided by quiz attempts, in the last N days. Unknown "
        "without a quiz attempt.",
        unknown="there is no quiz attempt {when}",
        needs=DAILY,
        sql=_resources_per_attempt,
    ),
)
