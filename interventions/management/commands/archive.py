"""Move old messages, entries and leavings into the archive, and drop months that are too old."""

import json
from collections.abc import Iterator, Mapping
from math import inf
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from tqdm import tqdm

from common.archive import Month
from common.clock import utc_now
from interventions.operations import archive_old, preview_archive

# The tables in words.
_HELD = {
    "interventions_archiveddelivery": "messages",
    "interventions_archivedtrace": "traces and words of messages",
    "segmentation_archivedtransition": "entries and leavings",
}


class Command(BaseCommand):
    """Do at once what the workers do bit by bit."""

    help = (
        "Move messages, entries and leavings older than LEDGER_DAYS into the archive, and drop the"
        " months of the archive older than TRACE_MONTHS and ARCHIVE_MONTHS. The workers do the"
        " same by themselves, some seconds at a time. It can be stopped at any moment."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the arguments."""
        parser.add_argument(
            "--dry-run", action="store_true", help="print what would move and what would be dropped"
        )
        parser.add_argument("--json", action="store_true", help="print only JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        """Move and drop, or print what would be."""
        if options["dry_run"]:
            found = preview_archive(now=utc_now())
            self._say(found.messages, found.transitions, found.dropped, options, would=True)
            return
        # The line is on standard error and only in a terminal: scripts can parse the output.
        with tqdm(unit=" rows", disable=None) as line:
            done = archive_old(now=utc_now(), budget=inf, on_progress=line.update)
        dropped = {table: dict.fromkeys(months, 0) for table, months in done.dropped.items()}
        self._say(done.messages, done.transitions, dropped, options, would=False)

    def _say(
        self,
        messages: int,
        transitions: int,
        dropped: Mapping[str, Mapping[Month, int]],
        options: Mapping[str, Any],
        *,
        would: bool,
    ) -> None:
        if options["json"]:
            months = {_HELD[each]: list(map(str, found)) for each, found in dropped.items()}
            shape = {"messages": messages, "transitions": transitions, "dropped": months}
            self.stdout.write(json.dumps(shape))
            return
        verb = "Would move" if would else "Moved"
        moved = f"{messages:,} messages and {transitions:,} entries and leavings"
        self.stdout.write(f"{verb} {moved} into the archive.")
        for line in _drops(dropped, would=would):
            self.stdout.write(line)


def _drops(dropped: Mapping[str, Mapping[Month, int]], *, would: bool) -> Iterator[str]:
    for table, months in dropped.items():
        for month, rows in months.items():
            number = f", about {rows:,} rows" if would else ""
            yield f"{'Would drop' if would else 'Dropped'} {month}: {_HELD[table]}{number}."
