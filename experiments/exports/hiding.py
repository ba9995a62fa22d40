"""Sections, strata and days of learners, shown only where they single nobody out. Pure."""

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import NamedTuple, TypeVar

from experiments.reporting.share_periods import Period
from experiments.reporting.small_cells import is_small, kept_parts

T = TypeVar("T", bound=Hashable)
G = TypeVar("G", bound=Hashable)


class HiddenError(ValueError):
    """The rows of the experiment cannot be given away. The message is a sentence."""


class Place(NamedTuple):
    """An arm, the ids of a section and a stratum or None, and the day of the draw.

    In an adaptive draw the stratum is the period, given by the number of its first draw. If
    whole sections were drawn, it is the block of the section.
    """

    arm: str
    section: int | None
    drawn_on: date
    stratum: int | None = None


@dataclass(frozen=True)
class Shown:
    """The sections, strata and days that a file shows.

    `sections` and `strata` have their numbers, from 1 for the largest one on. `strata_of` has the
    strata that are shown in each shown section, and `days` has the days by arm, shown section and
    shown stratum. None stands for learners whose section or stratum is hidden.
    """

    sections: Mapping[int, int]
    strata: Mapping[int, int]
    strata_of: Mapping[int | None, frozenset[int]]
    days: Mapping[tuple[str, int | None, int | None], frozenset[date]]
    # The shares of the arms in an adaptive draw, by stratum and arm.
    shares: Mapping[tuple[int, str], float] = field(default_factory=dict)
    # The learners who have a section that is not shown.
    hidden_sections: int = 0
    # The learners who have a stratum that is not shown.
    hidden_strata: int = 0

    @classmethod
    def of(cls, sizes: Mapping[Place, int]) -> "Shown":
        """Return what can be shown of learners whose number at each place is given.

        Whatever a reader knows of a learner's arm, section, stratum and day, at least FEWEST rows
        fit it.
        """
        sections = _numbered(_grouped(sizes, lambda place: ("", place.section))[""])
        shown = cls(sections, {}, {}, {})
        by_section = _grouped(sizes, lambda place: (shown._section(place), place.stratum))
        strata_of = {section: frozenset(kept_parts(found)) for section, found in by_section.items()}
        kept = frozenset().union(*strata_of.values())
        strata = _numbered(_grouped(sizes, lambda place: ("", place.stratum))[""], only=kept)
        shown = cls(sections, strata, strata_of, {})
        by_class = _grouped(sizes, lambda place: (shown._class(place), place.drawn_on))
        days = {each: frozenset(kept_parts(found)) for each, found in by_class.items()}
        hidden = (n for place, n in sizes.items() if place.section not in (None, *sections))
        without = (
            n
            for place, n in sizes.items()
            if place.stratum is not None and shown._class(place)[2] is None
        )
        return replace(shown, days=days, hidden_sections=sum(hidden), hidden_strata=sum(without))

    def by_period(self, periods: Sequence[Period]) -> "Shown":
        """Return what is shown of an adaptive draw: the periods in their order, from 1 on."""
        numbers = {each.position: number for number, each in enumerate(periods, start=1)}
        return replace(
            self,
            strata={position: numbers[position] for position in self.strata},
            shares={
                (each.position, arm): share
                for each in periods
                for arm, share in each.shares.items()
            },
        )

    def share(self, place: Place) -> str:
        """Return the share by which the arm was drawn; empty if its period is hidden."""
        _, _, period = self._class(place)
        return "" if period is None else f"{self.shares[period, place.arm]:g}"

    def texts(self, place: Place) -> tuple[str, str, str]:
        """Return the section's and the stratum's number and the day, each empty if hidden."""
        _, section, stratum = own = self._class(place)
        return (
            "" if section is None else str(self.sections[section]),
            "" if stratum is None else str(self.strata[stratum]),
            place.drawn_on.isoformat() if place.drawn_on in self.days[own] else "",
        )

    def _section(self, place: Place) -> int | None:
        return place.section if place.section in self.sections else None

    def _class(self, place: Place) -> tuple[str, int | None, int | None]:
        section = self._section(place)
        stratum = place.stratum if place.stratum in self.strata_of[section] else None
        return place.arm, section, stratum


def small_arms(sizes: Mapping[Place, int]) -> list[str]:
    """Return the arms whose rows would single people out, because they have so few learners."""
    arms: Counter[str] = Counter()
    for place, size in sizes.items():
        arms[place.arm] += size
    return sorted(arm for arm, size in arms.items() if is_small(size))


def _grouped(
    sizes: Mapping[Place, int], part_of: Callable[[Place], tuple[G, T | None]]
) -> dict[G, dict[T | None, Counter[str]]]:
    """Return the sizes by group, by part of the group, and by arm."""
    found: dict[G, dict[T | None, Counter[str]]] = defaultdict(dict)
    for place, size in sizes.items():
        group, part = part_of(place)
        found[group].setdefault(part, Counter())[place.arm] += size
    return found


def _numbered(
    sizes: Mapping[int | None, Counter[str]], *, only: frozenset[int] | None = None
) -> dict[int, int]:
    """Return the numbers of the parts that are shown, the largest first."""
    kept = kept_parts(sizes) if only is None else only
    largest_first = sorted(kept, key=lambda part: (-sizes[part].total(), part))
    return {part: number for number, part in enumerate(largest_first, start=1)}
