"""Import a file of JSON lines: courses, sections, items, learners, enrollments and events."""

import json
from argparse import ArgumentParser
from dataclasses import asdict
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from tqdm import tqdm

from activity.operations.jsonl import JsonlResult, import_jsonl
from common.clock import utc_now

SHOWN_FAULTS = 50


class Command(BaseCommand):
    """Import the lines that are good, and say of every other which it is and why."""

    help = (
        "Import JSON lines, each with a type: course, section, item, learner, enrollment or event."
        " Run again, it changes nothing."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Name the file."""
        parser.add_argument("file", type=Path)
        parser.add_argument("--dry-run", action="store_true", help="report only, keep nothing")
        parser.add_argument("--json", action="store_true", help="print only JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        """Import, with a progress bar on standard error."""
        path: Path = options["file"]
        try:
            with path.open("rb") as lines, _bar(path) as bar:
                result = import_jsonl(
                    lines, now=utc_now(), dry_run=options["dry_run"], on_bytes=bar.update
                )
        except OSError as error:
            raise CommandError(f"{path} cannot be read: {error.strerror}.") from None
        write = self._as_json if options["json"] else self._in_words
        write(result, dry_run=options["dry_run"])

    def _as_json(self, result: JsonlResult, *, dry_run: bool) -> None:
        self.stdout.write(json.dumps({"dry_run": dry_run, **asdict(result)}))

    def _in_words(self, result: JsonlResult, *, dry_run: bool) -> None:
        if dry_run:
            self.stdout.write("A dry run: nothing was kept.")
        for type_, count in result.saved.items():
            self.stdout.write(f"{type_}: {count:,} saved")
        self.stdout.write(
            f"event: {result.stored:,} stored, {result.repeated:,} were there already"
        )
        self.stdout.write(f"{len(result.faults):,} lines were not taken over")
        for fault in result.faults[:SHOWN_FAULTS]:
            self.stdout.write(f"  line {fault.line}: {fault.message}")
        if len(result.faults) > SHOWN_FAULTS:
            self.stdout.write(f"  ... and {len(result.faults) - SHOWN_FAULTS:,} more")


def _bar(path: Path) -> "tqdm[Any]":
    size = path.stat().st_size
    return tqdm(total=size, unit="B", unit_scale=True, desc=path.name, disable=None)
