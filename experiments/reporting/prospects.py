"""How many learners an experiment will have, if it starts now, and when they are counted. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from common.dates import day_text

# The weeks for which an experiment without an end is planned.
USUAL_WEEKS = 4
_WEEK = timedelta(weeks=1)
_LONGEST = timedelta(weeks=52)


@dataclass(frozen=True)
class Prospects:
    """The members of the population now, and those who entered in each of the last weeks.

    `entered` counts each of them once, `weeks` once in each week, the oldest week first. `share`
    is the share that takes part, by the coverage and the layer. `reached` members are left out, and
    `outside` members are in another part of the layer.
    """

    now: datetime
    zone: str
    members: int
    weeks: tuple[int, ...]
    entered: int
    share: float = 1.0
    reached: int = 0
    outside: int = 0
    ends_at: datetime | None = None
    most: int | None = None
    looks: tuple[datetime, ...] = ()

    @property
    def present(self) -> float:
        """Return about how many members are drawn at the start."""
        return (self.members - self.reached) * self.share

    @property
    def per_week(self) -> float:
        """Return about how many learners are drawn in a usual week after the start."""
        return self.entered * self.share / len(self.weeks) if self.weeks else 0.0

    def drawn_by(self, at: datetime) -> int:
        """Return about how many learners are drawn by the instant, if it starts now."""
        if at < self.now:
            return 0
        last = at if self.ends_at is None else min(at, self.ends_at)
        drawn = self.present + self.per_week * ((last - self.now) / _WEEK)
        return round(drawn if self.most is None else min(drawn, self.most))

    @property
    def end(self) -> datetime:
        """Return when the last learner is drawn, as planned; else the last look, or some weeks."""
        full = self._full_at
        known = [at for at in (self.ends_at, full) if at is not None]
        usual = self.looks[-1] if self.looks else self.now + USUAL_WEEKS * _WEEK
        return min(known) if known else usual

    @property
    def planned(self) -> int:
        """Return the number of learners that is planned with."""
        return self.drawn_by(self.end)

    @property
    def _full_at(self) -> datetime | None:
        """Return when the number of learners is reached; None if it is not within a year."""
        if self.most is None:
            return None
        missing = self.most - self.present
        if missing <= 0:
            return self.now
        wait = _LONGEST + _WEEK if not self.per_week else missing / self.per_week * _WEEK
        return None if wait > _LONGEST else self.now + wait


@dataclass(frozen=True)
class ExpectedRow:
    """A row of the table of learners to come: the day, those drawn, and those counted by then."""

    day: str
    drawn: str
    counted: str


def arrivals(known: Prospects) -> Iterator[str]:
    """Yield who is a member now, who enters in a usual week, and who of them takes part."""
    yield f"{learners_text(known.members)} {_are(known.members)} in it now."
    if known.reached:
        yield f"{known.reached:,} of them were reached before and are left out."
    if known.outside:
        yield (
            f"{known.outside:,} of them are outside its part of the exclusion layer and are left "
            "out."
        )
    if not known.entered:
        yield (
            "Nobody entered in the last weeks, so it is not known how many more will come. This "
            "is usual for a new segment: look again in a week."
        )
    else:
        listed = ", ".join(f"{each:,}" for each in known.weeks)
        yield (
            f"Learners who entered it in each of the last {len(known.weeks)} weeks, the oldest "
            f"first: {listed}. Each counted once, these are {learners_text(known.entered)}. "
            f"New learners expected per week: {_about(known.entered / len(known.weeks))}."
        )
    if known.share < 1:
        yield f"{known.share:.0%} of them take part, by the coverage and the exclusion layer."


def planned_text(known: Prospects) -> str:
    """Return the number of learners that is planned with, and until when."""
    until = day_text(known.end, zone=known.zone)
    number = f"about {learners_text(known.planned)} until {until}"
    if known.ends_at is None and known.most is None and known.looks:
        return f"It ends with its last look: {number}."
    if known.ends_at is None and known.most is None:
        return f"No end is planned, so {USUAL_WEEKS} weeks are assumed: {number}."
    if known.most is not None and known.planned < known.most:
        return f"It is to end with {known.most:,} learners, but at this rate it has only {number}."
    return f"Planned: {number}."


def expected_rows(known: Prospects, *, window: timedelta) -> list[ExpectedRow]:
    """Return the learners drawn and counted after some weeks, at the end, and when all count.

    A learner counts once the window after the draw is over.
    """
    end = known.end
    instants = {known.now + weeks * _WEEK for weeks in (1, 2, 4, 8)}
    looks = {at for at in known.looks if at > known.now}
    shown = sorted({at for at in instants if at < end} | {end, end + window} | looks)
    return [
        ExpectedRow(
            f"{day_text(at, zone=known.zone)}{' (a look)' if at in looks else ''}",
            f"{known.drawn_by(at):,}",
            f"{known.drawn_by(at - window):,}",
        )
        for at in shown
    ]


def _about(number: float) -> str:
    return f"about {round(number):,}" if number >= 1 else "less than 1"


def learners_text(number: int) -> str:
    """Return `1 learner` or `20 learners`."""
    return "1 learner" if number == 1 else f"{number:,} learners"


def _are(number: int) -> str:
    return "is" if number == 1 else "are"
