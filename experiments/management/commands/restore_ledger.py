"""`manage.py restore_ledger`: make a stopped experiment of the file of a ledger."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from experiments.ledger import LedgerError
from experiments.operations import restore_ledger
from experiments.protocol import ProtocolError


class Command(BaseCommand):
    help = (
        "Restore an experiment, stopped, with its protocol and draws, from a file of "
        "export_ledger, so that verify_experiment can replay it in another database. Courses and "
        "learners that are not there are replaced by stand-ins."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the file."""
        parser.add_argument("file", type=Path, metavar="FILE.jsonl", help="the file to read")

    def handle(self, *args: Any, **options: Any) -> None:
        """Restore the experiment."""
        try:
            with options["file"].open(encoding="utf-8") as lines:
                experiment = restore_ledger(lines)
        except (LedgerError, ProtocolError, OSError, UnicodeDecodeError) as error:
            raise CommandError(f"{error} Nothing was restored.") from error
        self.stdout.write(f"The experiment {experiment.key} is restored, stopped.")
