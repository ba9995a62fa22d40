"""Write a simulated course as JSON lines for import_jsonl."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from django.core.management.base import BaseCommand, CommandError, CommandParser

from activity.simulation.course import SimulatedCourse
from activity.simulation.world import lines, simulate
from config.demo.arguments import not_negative, positive


class Command(BaseCommand):
    help = "Write a simulated course with its roster and events as JSON lines."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--learners", type=positive, default=200)
        parser.add_argument("--days", type=positive, default=56, help="the course ends 2025-10-26")
        parser.add_argument("--seed", type=not_negative, default=1)
        parser.add_argument("--out", type=Path, help="the file to write; default: standard output")

    def handle(self, *_: Any, **options: Any) -> None:
        course = SimulatedCourse(
            f"simulated-{options['seed']}", f"Simulated course {options['seed']}", options["days"]
        )
        world = simulate(course, options["learners"], seed=options["seed"])
        with _opened(options["out"], self.stdout) as out:
            for line in lines(world):
                out.write(json.dumps(line) + "\n")


@contextmanager
def _opened(path: Path | None, stdout: Any) -> Iterator[TextIO | Any]:
    if path is None:
        yield stdout
        return
    try:
        with path.open("w", encoding="utf-8") as out:
            yield out
    except OSError as error:
        raise CommandError(f"{path} cannot be written: {error.strerror}.") from None
