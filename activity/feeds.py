"""Judge whether a course's events arrive as they did in its own past weeks. Pure.

Everything is counted by the hour of receipt, because a late feed and a silent one look alike by the
hours in which events occurred. The rare weeks decide: a window of time is compared with the least
of the same local hours of the past weeks, so that a vacation, a bulk import or a busy week among
them does not raise what is expected. A silence is compared with the weeks before it, because after
two weeks the past weeks are silent too.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
WEEK = timedelta(days=7)
WEEKS = 4
# A course with less history has no usual week, so nothing is judged.
FEWEST_WEEKS = 3
# Record 76 says on what these were measured.
MISSED = 50
# Record 105 says why a shorter silence counts where so many are missing.
MISSED_SOON = 400
SHORTEST_SILENCE = 3 * HOUR
THIN_SHARE = 0.05
FEWEST_FOR_THIN = 400
FEWEST_OF_A_VERB = 100
MOST_OF_A_DAY = 0.5
FEWEST_FOR_SHARES = 100
VANISHED_SHARE = 0.1
FEWEST_FOR_DELAY = 50
LATER_BY = timedelta(hours=12)
LATER_TIMES = 3

Numbers = Mapping[str, int | float | str]


class FeedStatus(StrEnum):
    """How the events of a course arrive. All but OK hold what depends on them."""

    OK = "ok"
    SILENT = "silent"
    CHANGED = "changed"
    LATE = "late"


@dataclass(frozen=True, slots=True)
class HourCount:
    """The events of one verb that were received in one hour. `delay` is the sum of their delays."""

    at: datetime
    verb: str
    events: int
    with_item: int = 0
    with_score: int = 0
    delay: timedelta = timedelta(0)
    last_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class FeedJudgement:
    """The status, since when it holds if the events say so, and the numbers behind it."""

    status: FeedStatus = FeedStatus.OK
    since: datetime | None = None
    numbers: Numbers = field(default_factory=dict)


OK = FeedJudgement()


def judge_feed(
    hours: Sequence[HourCount], *, now: datetime, zone: str, silent_since: datetime | None = None
) -> FeedJudgement:
    """Return whether the events arrive as in the past weeks.

    `hours` are those of the last five weeks, in any order, and of the five weeks before a silence
    that was found before and began at `silent_since`. It ends when more than a few events come. A
    course without a history of three weeks is always ok.
    """
    history = _History(hours, now=now, zone=zone, silent_since=silent_since)
    if history.weeks < FEWEST_WEEKS:
        return OK
    for judge in (_silent, _thin, _vanished_verb, _vanished_share, _late):
        found = judge(history)
        if found is not None:
            return found
    return OK


class _History:
    """The hours by UTC and by local hour, for windows that end with the last full hour."""

    def __init__(
        self,
        hours: Iterable[HourCount],
        *,
        now: datetime,
        zone: str,
        silent_since: datetime | None = None,
    ) -> None:
        self.end = _full_hour(now)
        self.hours = [each for each in hours if each.at < now]
        self._first = min((each.at for each in self.hours), default=self.end)
        last = max((each.last_at or each.at for each in self.hours), default=None)
        self.silent_since = silent_since or last
        self.is_silent = silent_since is not None
        self.weeks = self.weeks_before(self.end)
        # Learners live by the local clock, and a nightly job may run by UTC. After a clock change
        # the two differ, and the same hours of one of them would look empty.
        self._clocks = [_Clock(self.hours, ZoneInfo(name)) for name in ("UTC", zone)]

    def weeks_before(self, at: datetime) -> int:
        """Return with how many whole weeks before the instant a window is compared."""
        return min(WEEKS, int((at - self._first) / WEEK))

    def window(self, length: timedelta) -> list[HourCount]:
        """Return the hours of the last window of this length."""
        return self._clocks[0].window(self.end, length)

    def usual(self, length: timedelta, count: Callable[[HourCount], int]) -> int:
        """Return the least of the past weeks in the same window, by both clocks."""
        return min(sum(map(count, hours)) for hours in self._past(self.end, length))

    def usual_from(self, begin: datetime, length: timedelta) -> int:
        """Return the least number of events in the weeks before the window that begins then."""
        return min(sum(map(_events, hours)) for hours in self._past(begin + length, length, begin))

    def past(self, length: timedelta) -> list[HourCount]:
        """Return the hours of the same windows of the past weeks."""
        return [hour for hours in self._past(self.end, length) for hour in hours]

    def _past(
        self, end: datetime, length: timedelta, before: datetime | None = None
    ) -> Iterator[list[HourCount]]:
        for week in range(1, self.weeks_before(before or end) + 1):
            for clock in self._clocks:
                yield clock.window(end, length, back=week * WEEK)


class _Clock:
    """The hours by the day and hour that a clock shows."""

    def __init__(self, hours: Iterable[HourCount], zone: ZoneInfo) -> None:
        self._zone = zone
        self._windows: dict[tuple[datetime, timedelta, timedelta], list[HourCount]] = {}
        self._found: dict[datetime, list[HourCount]] = {}
        for each in hours:
            self._found.setdefault(self._shown(each.at), []).append(each)

    def window(
        self, end: datetime, length: timedelta, *, back: timedelta = timedelta(0)
    ) -> list[HourCount]:
        """Return the hours of the window that ends at `end`, or earlier by so many days."""
        key = (end, length, back)
        # Each kind of fault is looked for in the same few windows.
        if key not in self._windows:
            steps = range(int(length / HOUR))
            shown = (self._shown(end - length + step * HOUR) - back for step in steps)
            self._windows[key] = [hour for at in shown for hour in self._found.get(at, ())]
        return self._windows[key]

    def _shown(self, at: datetime) -> datetime:
        return at.astimezone(self._zone).replace(tzinfo=None, minute=0)


def _full_hour(at: datetime) -> datetime:
    return at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def _events(hour: HourCount) -> int:
    return hour.events


def _of(verb: str) -> Callable[[HourCount], int]:
    return lambda hour: hour.events if hour.verb == verb else 0


def _silent(history: _History) -> FeedJudgement | None:
    if history.silent_since is None:
        return None
    begin = _full_hour(history.silent_since) + HOUR
    length = min(history.end - begin, WEEK)
    if length < HOUR or history.weeks_before(begin) < FEWEST_WEEKS:
        return None
    # From the beginning of the silence, not up to now: so what was usual does not become less as
    # the silence goes on, and only events end it.
    seen, usual = sum(map(_events, history.window(length))), history.usual_from(begin, length)
    # Until it is found, conditions are asked about what is missing. Where hundreds of events come
    # in each hour, one hour without any says enough.
    missed = MISSED if length >= SHORTEST_SILENCE else MISSED_SOON
    if usual < missed or seen >= THIN_SHARE * usual:
        return None
    numbers = {"seen": seen, "usual": usual, "hours": int(length / HOUR)}
    return FeedJudgement(FeedStatus.SILENT, history.silent_since, numbers)


def _thin(history: _History) -> FeedJudgement | None:
    seen, usual = sum(map(_events, history.window(DAY))), history.usual(DAY, _events)
    if usual < FEWEST_FOR_THIN or seen >= THIN_SHARE * usual:
        return None
    since = history.silent_since if history.is_silent else history.end - DAY
    return FeedJudgement(FeedStatus.SILENT, since, {"seen": seen, "usual": usual, "hours": 24})


def _vanished_verb(history: _History) -> FeedJudgement | None:
    seen = history.window(DAY)
    # After a silence, the day has too few events to miss one kind of them.
    if sum(map(_events, seen)) < MOST_OF_A_DAY * history.usual(DAY, _events):
        return None
    for verb in sorted({each.verb for each in history.past(DAY)} - {each.verb for each in seen}):
        usual = history.usual(DAY, _of(verb))
        if usual >= FEWEST_OF_A_VERB:
            return FeedJudgement(FeedStatus.CHANGED, None, {"verb": verb, "usual": usual})
    return None


_SHARES: tuple[tuple[str, str, Callable[[HourCount], int]], ...] = (
    ("item", "", lambda hour: hour.with_item),
    ("score", "ATTEMPT_QUIZ", lambda hour: hour.with_score),
)


def _vanished_share(history: _History) -> FeedJudgement | None:
    for part, verb, count in _SHARES:
        seen, past = (
            [hour for hour in found if verb in ("", hour.verb)]
            for found in (history.window(DAY), history.past(DAY))
        )
        now, before = _share(seen, count), _share(past, count)
        if sum(map(_events, seen)) >= FEWEST_FOR_SHARES and now < VANISHED_SHARE * before:
            numbers: Numbers = {
                "part": part,
                "share": round(now, 4),
                "usual_share": round(before, 4),
            }
            return FeedJudgement(FeedStatus.CHANGED, None, numbers)
    return None


def _share(hours: Sequence[HourCount], count: Callable[[HourCount], int]) -> float:
    events = sum(map(_events, hours))
    return sum(map(count, hours)) / events if events else 0.0


def _late(history: _History) -> FeedJudgement | None:
    seen, past = history.window(DAY), history.past(DAY)
    if min(sum(map(_events, seen)), sum(map(_events, past))) < FEWEST_FOR_DELAY:
        return None
    now, before = _mean_delay(seen), _mean_delay(past)
    most = max(before * LATER_TIMES, before + LATER_BY)
    if now < most or _came_in_time(history, most):
        return None
    numbers = {"delay_hours": round(now / HOUR, 1), "usual_hours": round(before / HOUR, 1)}
    return FeedJudgement(FeedStatus.LATE, None, numbers)


def _came_in_time(history: _History, most: timedelta) -> bool:
    """Return whether most of the usual events were not late.

    Grades of weeks ago that are entered at once raise the mean. They make no feed late.
    """
    seen = history.window(DAY)
    in_time = sum(hour.events for hour in seen if hour.delay < most * hour.events)
    all_seen = sum(map(_events, seen))
    return in_time >= MOST_OF_A_DAY * min(all_seen, history.usual(DAY, _events) or all_seen)


def _mean_delay(hours: Iterable[HourCount]) -> timedelta:
    found = list(hours)
    return sum((hour.delay for hour in found), timedelta(0)) / sum(map(_events, found))


_USUAL = " In the same hours of each of the past weeks, {usual:,} or more came."
_WEEKS_BEFORE = " In the same hours of each of the weeks before, {usual:,} or more came."
_SHARE = "The share of {} in the last 24 hours is {{share:.1%}}. It was {{usual_share:.1%}}."
_SENTENCES = {
    "none": "No event came in the last {hours} hours." + _WEEKS_BEFORE,
    "few": "Only {seen:,} events came in the last {hours} hours." + _WEEKS_BEFORE,
    "late": "The events of the last 24 hours came {delay_hours} hours after they occurred, on "
    "average. In the past weeks it was {usual_hours} hours.",
    "verb": "No event {verb} came in the last 24 hours." + _USUAL,
    "item": _SHARE.format("events that name an item"),
    "score": _SHARE.format("quiz attempts with a score"),
}


def feed_sentence(status: str, numbers: Numbers) -> str:
    """Return what is unusual about the events, as a sentence with its numbers."""
    if status == FeedStatus.OK:
        return "The events arrive as in the past weeks."
    return _SENTENCES[_kind(status, numbers)].format(**numbers)


def _kind(status: str, numbers: Numbers) -> str:
    if status == FeedStatus.SILENT:
        return "few" if numbers["seen"] else "none"
    if status == FeedStatus.LATE:
        return "late"
    return "verb" if "verb" in numbers else str(numbers["part"])
