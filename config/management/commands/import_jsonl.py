"""Import a file of JSON lines: courses, sections, items, learners, enrollments and events."""

import json
from argparse import ArgumentParser
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from tqdm import tqdm

from activity.operations.jsonl import JsonlResult, import_jsonl
from common.clock import utc_now
from config.readiness import Readiness, readiness_of, readiness_text

SHOWN_FAULTS = 50


class Command(BaseCommand):
    """Import the valid lines, and print every other line number with the reason."""

    help = (
        "Import JSON lines, each with a type: course, section, item, learner, enrollment, optout"
        " or event. A repeated import of the same file changes nothing. If a line is refused, all"
        " others are still imported, and the status is 1."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the arguments."""
        parser.add_argument("file", type=Path)
        parser.add_argument("--dry-run", action="store_true", help="print the result, keep nothing")
        parser.add_argument("--json", action="store_true", help="print only JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        """Import the file, with a progress bar on standard error."""
        path: Path = options["file"]
        readiness: dict[str, Readiness] = {}
        now = utc_now()

        def look(result: JsonlResult) -> None:
            readiness.update(readiness_of(result.courses, now=now))

        try:
            with path.open("rb") as lines, _bar(path) as bar:
                dry_run = options["dry_run"]
                result = import_jsonl(
                    lines, now=now, dry_run=dry_run, on_bytes=bar.update, on_end=look
                )
        except OSError as error:
            raise CommandError(f"{path} cannot be read: {error.strerror}.") from None
        found = {"dry_run": dry_run, **asdict(result)}
        if options["json"]:
            self.stdout.write(json.dumps(found | _as_json(readiness)))
        else:
            self.stdout.write("\n".join([*_in_words(found), *_readiness(readiness)]))
        _fail_on_refused(result)


def _in_words(found: dict[str, Any]) -> Iterator[str]:
    dry = found["dry_run"]
    would = "would be " if dry else ""
    if dry:
        yield "This is a dry run. Nothing was saved."
    for type_, count in found["saved"].items():
        yield f"{type_}: {count:,} {would}saved"
    yield f"event: {found['stored']:,} {would}stored, {found['repeated']:,} already stored before"
    if found["graded"]:
        yield f"  {found['graded']:,} of these {would}given a grade that was missing"
    faults, remarks = found["faults"], found["remarks"]
    yield f"{len(faults):,} lines {'would' if dry else 'were'} not {'be ' if dry else ''}imported"
    yield from _listed(faults)
    if remarks:
        yield f"{len(remarks):,} details to check, in lines that {would or 'were '}imported"
        yield from _listed(remarks)


def _listed(lines: list[dict[str, Any]]) -> Iterator[str]:
    yield from (f"  line {each['line']}: {each['message']}" for each in lines[:SHOWN_FAULTS])
    if len(lines) > SHOWN_FAULTS:
        yield f"  ... and {len(lines) - SHOWN_FAULTS:,} more"


def _as_json(readiness: dict[str, Readiness]) -> dict[str, Any]:
    return {
        "missing": {course: found.missing for course, found in readiness.items()},
        "guards": {course: asdict(found.guards) for course, found in readiness.items()},
    }


def _readiness(readiness: dict[str, Readiness]) -> Iterator[str]:
    for course, found in readiness.items():
        yield from readiness_text(course, found)


def _fail_on_refused(result: JsonlResult) -> None:
    refused = sum(not fault.waits for fault in result.faults)
    if refused:
        raise CommandError(f"Refused lines: {refused:,}. Correct them and import again.")


def _bar(path: Path) -> "tqdm[Any]":
    size = path.stat().st_size
    return tqdm(total=size, unit="B", unit_scale=True, desc=path.name, disable=None)
