"""`manage.py verify_experiment`: replay every draw of an experiment and check its ledger."""

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from experiments.protocol import ProtocolError
from experiments.queries import Verification, verify_experiment


class Command(BaseCommand):
    help = (
        "Draw every unit of an experiment again from its locked protocol, compare the draws with "
        "its ledger, and check the chain of digests. Stores nothing. Exits with 1 and names the "
        "first difference."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the experiment."""
        parser.add_argument("key", metavar="KEY", help="the key of the experiment")
        parser.add_argument("--json", action="store_true", help="print only JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        """Verify and print the result."""
        try:
            found = verify_experiment(options["key"])
        except ProtocolError as error:
            raise CommandError(str(error)) from error
        if options["json"]:
            self.stdout.write(json.dumps(found.result, indent=2))
        if found.difference:
            raise CommandError(found.difference)
        if not options["json"]:
            self.stdout.write(_sentence(found))


def _sentence(found: Verification) -> str:
    sections = f" and {found.sections:,} draws of sections" if found.sections else ""
    return (
        f"All agrees: {found.draws + found.unsealed:,} draws{sections} and the numbers of "
        f"{found.snapshots:,} kept reports come out again. Not sealed yet: {found.unsealed:,} "
        f"draws. The ledger has {found.entries:,} entries and ends with {found.head or 'nothing'}."
    )
