"""Write the results of `size_segments` before and after a change into a page, as tables."""

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

MARK = "<!-- Made by manage.py compare_sizes: everything below is written anew each time. -->"
ALL = "all"


@dataclass(frozen=True)
class Size:
    """A number of learners, and how many of them failed or withdrew in the end."""

    number: int = 0
    lost: int = 0

    def __add__(self, other: "Size") -> "Size":
        return Size(self.number + other.number, self.lost + other.lost)

    def __str__(self) -> str:
        return f"{self.number:,} ({self.lost / self.number:.0%})" if self.number else "0"


# By segment ("" means all in scope), course and day. The course "all" is the sum of the courses.
Sizes = dict[tuple[str, str, int], Size]


class Command(BaseCommand):
    help = (
        "Write tables from two files of size_segments into PAGE, below its marked line: one table"
        " per segment, one row per course, one column per day."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("before", type=Path, metavar="BEFORE.csv")
        parser.add_argument("after", type=Path, metavar="AFTER.csv")
        parser.add_argument("--page", type=Path, required=True, metavar="PAGE.md")

    def handle(self, *args: Any, **options: Any) -> None:
        page: Path = options["page"]
        words = page.read_text(encoding="utf-8").partition(MARK)[0] if page.exists() else ""
        before, after = read_sizes(options["before"]), read_sizes(options["after"])
        page.write_text(f"{words}{MARK}\n\n{tables(before, after)}", encoding="utf-8")


def read_sizes(path: Path) -> Sizes:
    """Return the sizes in a file, with the sums over all courses."""
    found: Sizes = {}
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            course, day = row["course"], int(row["day"])
            size = Size(int(row["members"]), int(row["lost"]))
            found[row["segment"], course, day] = size
            found["", course, day] = Size(int(row["of"]), int(row["lost_of"]))
    for (segment, _, day), size in list(found.items()):
        found[segment, ALL, day] = found.get((segment, ALL, day), Size()) + size
    return found


def tables(before: Sizes, after: Sizes) -> str:
    """Return the tables as Markdown: first all courses together, then one table per segment."""
    segments = _in_order(segment for segment, _, _ in after if segment)
    courses = sorted({course for _, course, _ in after if course != ALL})
    days = sorted({day for _, _, day in after})
    parts = [_summary(before, after, segments, days)]
    for segment in segments:
        head = _head("course", days)
        rows = [_row(course, segment, (before, after), days) for course in [*courses, ALL]]
        parts.append("\n".join([f"## {segment}\n", head, *rows]))
    return "\n\n".join(parts) + "\n"


def _summary(before: Sizes, after: Sizes, segments: list[str], days: list[int]) -> str:
    everybody = [str(after["", ALL, day]) for day in days]
    rows = [_cells(["*everybody in scope*", *everybody])]
    rows += [_row(ALL, segment, (before, after), days, name=segment) for segment in segments]
    return "\n".join(["## All courses together\n", _head("segment", days), *rows])


def _row(
    course: str, segment: str, sizes: tuple[Sizes, Sizes], days: list[int], *, name: str = ""
) -> str:
    before, after = sizes
    cells = [
        f"{before.get((segment, course, day), Size())} → {after[segment, course, day]}"
        for day in days
    ]
    return _cells([name or course, *cells])


def _head(first: str, days: list[int]) -> str:
    titles = [first, *(f"day {day}" for day in days)]
    return f"{_cells(titles)}\n{_cells(['---'] * len(titles))}"


def _cells(texts: Iterable[str]) -> str:
    return f"| {' | '.join(texts)} |"


def _in_order(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(names))
