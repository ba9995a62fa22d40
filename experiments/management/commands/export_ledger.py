"""`manage.py export_ledger`: write the ledger of an experiment to a file."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from common.clock import utc_now
from experiments.operations import ledger_lines
from experiments.protocol import ProtocolError


class Command(BaseCommand):
    help = (
        "Write the ledger of an experiment, one entry a line. Draws that it lacks are sealed "
        "first. The file names units by their random keys, not by learners. Keep it elsewhere: "
        "then nobody can change a draw and all entries that follow it unnoticed."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the experiment and the file."""
        parser.add_argument("key", metavar="KEY", help="the key of the experiment")
        parser.add_argument(
            "--out", type=Path, required=True, metavar="FILE.jsonl", help="the file to write"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Write the file."""
        try:
            lines = list(ledger_lines(options["key"], now=utc_now()))
            options["out"].write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        except (ProtocolError, OSError) as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"{len(lines):,} entries are in {options['out']}.")
