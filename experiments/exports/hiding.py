"""Sections and days of learners, shown in a file only where they single nobody out. Pure."""

from collections import Counter
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import NamedTuple, TypeVar

# A class of fewer learners could be told apart by people who know them.
FEWEST = 5
T = TypeVar("T", bound=Hashable)


class HiddenError(ValueError):
    """The rows of the experiment cannot be given away. The message is a sentence."""


class Place(NamedTuple):
    """An arm, the id of a section or None, and the day of the draw."""

    arm: str
    section: int | None
    drawn_on: date


@dataclass(frozen=True)
class Shown:
    """The sections and days that a file shows.

    `sections` has the number of each shown section. `days` has the shown days by arm and shown
    section; the section is None for learners whose section is hidden.
    """

    sections: Mapping[int, int]
    days: Mapping[tuple[str, int | None], frozenset[date]]

    @classmethod
    def of(cls, sizes: Mapping[Place, int]) -> "Shown":
        """Return what can be shown of learners whose number at each place is given.

        Whatever a reader knows of a learner's arm, section and day, at least FEWEST rows fit it.
        """
        sections = _shown_sections(sizes)
        by_class: dict[tuple[str, int | None], Counter[date]] = {}
        for (arm, section, day), size in sizes.items():
            shown = section if section in sections else None
            by_class.setdefault((arm, shown), Counter())[day] += size
        days = {
            place: frozenset(_kept({day: Counter({"": size}) for day, size in of_class.items()}))
            for place, of_class in by_class.items()
        }
        return cls(sections, days)

    def texts(self, place: Place) -> tuple[str, str]:
        """Return the number of the section and the day, each empty if it is hidden."""
        section = place.section if place.section in self.sections else None
        day = place.drawn_on if place.drawn_on in self.days[place.arm, section] else None
        number = "" if section is None else str(self.sections[section])
        return number, day.isoformat() if day else ""


def small_arms(sizes: Mapping[Place, int]) -> list[str]:
    """Return the arms whose rows would single people out, because they have so few learners."""
    arms: Counter[str] = Counter()
    for place, size in sizes.items():
        arms[place.arm] += size
    return sorted(arm for arm, size in arms.items() if size < FEWEST)


def _shown_sections(sizes: Mapping[Place, int]) -> dict[int, int]:
    """Return the numbers of the sections that can be shown, from 1 for the largest one on."""
    by_section: dict[int | None, Counter[str]] = {}
    for (arm, section, _), size in sizes.items():
        by_section.setdefault(section, Counter())[arm] += size
    without = by_section.pop(None, Counter())
    named = {section: of_one for section, of_one in by_section.items() if section is not None}
    kept = _kept(named, hidden=without)
    largest_first = sorted(kept, key=lambda section: (-named[section].total(), section))
    return {section: number for number, section in enumerate(largest_first, start=1)}


def _kept(sizes: Mapping[T, Counter[str]], *, hidden: Counter[str] | None = None) -> list[T]:
    """Return the classes that can be shown, given their sizes by arm, the smallest first.

    Those that are hidden are a class too, which must not single anybody out either.
    """
    rest = Counter(hidden or {})
    # Classes too small on their own come first, then the smallest of the others.
    order = sorted(sizes, key=lambda each: (not _is_small(sizes[each]), sizes[each].total()))
    while order and (_is_small(sizes[order[0]]) or _is_small(rest)):
        rest += sizes[order.pop(0)]
    return order


def _is_small(sizes: Counter[str]) -> bool:
    return any(0 < size < FEWEST for size in sizes.values())
