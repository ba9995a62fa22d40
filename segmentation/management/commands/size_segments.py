"""Measure the sizes of a playbook's segments on days of courses, and how their members ended."""

import csv
import json
from collections.abc import Collection, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from activity.models import Course, Enrollment
from common.clock import local_midnight
from segmentation.management.arguments import every_course
from segmentation.queries import read_signals
from segmentation.rules import conditions, evaluate, parse

PLAYBOOKS = Path(__file__).resolve().parents[2] / "playbooks"
COLUMNS = ("course", "day", "segment", "members", "lost", "of", "lost_of")


class Command(BaseCommand):
    help = (
        "Write one row per course, day and segment: the number of members, how many of them failed"
        " or withdrew in the end, and the same for all learners in scope. The command changes"
        " nothing in the database. Day 0 is the first day of the course. Sizes are measured at the"
        " end of the day."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("playbook", help="a shipped playbook, such as five-segments")
        parser.add_argument("--days", required=True, metavar="N,N", help="such as 10,30,60")
        parser.add_argument("--out", required=True, type=Path, metavar="FILE.csv")

    def handle(self, *args: Any, **options: Any) -> None:
        path = PLAYBOOKS / f"{options['playbook']}.json"
        if not path.is_file():
            raise CommandError(f"There is no playbook '{options['playbook']}'.")
        playbook = json.loads(path.read_text(encoding="utf-8"))
        days = _days(options["days"])
        with options["out"].open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(COLUMNS)
            for course in every_course().order_by("key"):
                for day in days:
                    writer.writerows(_rows(playbook, course, day))
                self.stdout.write(course.key)


def _days(text: str) -> list[int]:
    try:
        return [int(day) for day in text.split(",")]
    except ValueError:
        raise CommandError(
            f"The days '{text}' must be whole numbers separated by commas."
        ) from None


def _rows(playbook: dict[str, Any], course: Course, day: int) -> Iterator[tuple[object, ...]]:
    everybody, members = _members(playbook, course, day)
    done = Enrollment.objects.filter(course=course, completed_at__isnull=False)
    completed = set(done.values_list("pk", flat=True))
    for key, chosen in members.items():
        counts = (len(chosen), len(chosen - completed))
        yield course.key, day, key, *counts, len(everybody), len(everybody - completed)


def _members(
    playbook: dict[str, Any], course: Course, day: int
) -> tuple[set[int], dict[str, set[int]]]:
    """Return the enrollments in scope at the end of the day, and the members by segment."""
    rules = {one["key"]: parse(one["rule"]) for one in _by_priority(playbook)}
    refs = list(dict.fromkeys(part.ref for rule in rules.values() for part in conditions(rule)))
    next_day = local_midnight(course.starts_on + timedelta(days=day + 1), course.time_zone)
    rows = list(read_signals(course, refs, as_of=next_day - timedelta(seconds=1)))
    taken: set[int] = set()
    members: dict[str, set[int]] = {}
    for key, rule in rules.items():
        found = {row.enrollment_id for row in rows if evaluate(rule, row.signals) is True}
        members[key] = found - taken
        if playbook["mode"] == "exclusive":
            taken |= found
    return {row.enrollment_id for row in rows}, members


def _by_priority(playbook: dict[str, Any]) -> Collection[dict[str, Any]]:
    return sorted(playbook["segments"], key=lambda one: (one["priority"], one["key"]))
