"""Follow the members of a segment from day to day under two rules, and compare them. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from itertools import takewhile

Ids = frozenset[int]
NOBODY: Ids = frozenset()


@dataclass(frozen=True)
class Follower:
    """A segment whose members are followed. `key` names its rules in a moment.

    `keeps`: it has a leave rule, so a member stays until that is true. `added` and `removed` are
    the members whom staff added and removed manually.
    """

    key: int
    keeps: bool = False
    added: Ids = NOBODY
    removed: Ids = NOBODY


@dataclass(frozen=True)
class Moment:
    """The enrollments in scope at an instant, and those for which each rule is true, by key."""

    at: datetime
    in_scope: Ids
    matches: Mapping[int, Ids]
    leaves: Mapping[int, Ids] = field(default_factory=dict)


def follow(
    chain: Sequence[Follower],
    moments: Sequence[Moment],
    *,
    held: Mapping[int, Ids] | None = None,
    taken: Ids = NOBODY,
) -> list[Ids]:
    """Return the members of the last segment of the chain at each moment.

    The segments before it are those that come first in an exclusive playbook. `held` are the
    members before the first moment. `taken` are members whom another segment keeps all the time.
    """
    now = dict(held or {})
    found = []
    for moment in moments:
        gone = taken
        for one in chain:
            now[one.key] = _members(one, moment, now.get(one.key, NOBODY)) - gone
            gone |= now[one.key]
        found.append(now[chain[-1].key] if chain else NOBODY)
    return found


def _members(one: Follower, moment: Moment, held: Ids) -> Ids:
    stay = held & moment.in_scope if one.keeps else NOBODY
    # As in an evaluation, no learner enters while the leave rule is true.
    by_rules = (moment.matches[one.key] | stay) - moment.leaves.get(one.key, NOBODY)
    return (by_rules | one.added & moment.in_scope) - one.removed


class Fate(StrEnum):
    """What the change makes of an entry."""

    SAME = "same"
    SOONER = "sooner"
    LATER = "later"
    NEVER = "never"


@dataclass(frozen=True)
class Replay:
    """The members at the end of each day, as it is and with the change.

    The first place of `before` and `after` is the end of the day before `days`. `of` is the number
    of the course's enrollments. `chosen` are those that were replayed, None: all.
    """

    days: Sequence[date]
    before: Sequence[Ids]
    after: Sequence[Ids]
    of: int
    chosen: Sequence[int] | None = None

    @property
    def entered_before(self) -> Ids:
        """Return the enrollments that enter as it is."""
        return frozenset(one for one, _ in entries(self.before))

    @property
    def entered_after(self) -> Ids:
        """Return the enrollments that enter with the change."""
        return frozenset(one for one, _ in entries(self.after))

    @property
    def only_before(self) -> list[tuple[int, date]]:
        """Return the entries as it is whose whole stay has no counterpart with the change."""
        return self._alone(self.before, self.after)

    @property
    def only_after(self) -> list[tuple[int, date]]:
        """Return the entries with the change whose whole stay has no counterpart as it is."""
        return self._alone(self.after, self.before)

    def fate(self, enrollment_id: int, day: date) -> Fate:
        """Return what the change makes of the entry that really happened on the day."""
        place = self.days.index(day) + 1
        if enrollment_id in self.after[place]:
            # At the end of the day before, they were in only with the change.
            is_sooner = enrollment_id in self.after[place - 1] - self.before[place - 1]
            return Fate.SOONER if is_sooner else Fate.SAME
        stay = _stay(self.before, enrollment_id, place)
        is_later = any(enrollment_id in self.after[each] for each in stay)
        return Fate.LATER if is_later else Fate.NEVER

    def _alone(self, mine: Sequence[Ids], other: Sequence[Ids]) -> list[tuple[int, date]]:
        return [
            (one, self.days[place - 1])
            for one, place in entries(mine)
            if not any(one in other[each] for each in _stay(mine, one, place))
        ]


def entries(members: Sequence[Ids]) -> Iterator[tuple[int, int]]:
    """Yield each enrollment that enters with the place at which it does, in order."""
    for place in range(1, len(members)):
        for one in sorted(members[place] - members[place - 1]):
            yield one, place


def _stay(members: Sequence[Ids], one: int, place: int) -> Iterator[int]:
    """Yield the places of the stay from this place on."""
    return takewhile(lambda each: one in members[each], range(place, len(members)))
