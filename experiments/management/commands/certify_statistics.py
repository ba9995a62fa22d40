"""`manage.py certify_statistics`: how often the statistics err where the truth is known."""

import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from tqdm import tqdm

from experiments.stats.certificates.promise import Certificate, Promise
from experiments.stats.certificates.promises import full_promises, quick_promises
from experiments.terminal.certification import (
    certificate_data,
    certificate_lines,
    is_kept,
    with_tables,
)
from experiments.terminal.certified import digest_of_inputs, with_seal

ROOT = Path(__file__).resolve().parents[3]
PAGE = ROOT / "docs" / "statistics.md"


class Command(BaseCommand):
    # It only computes, so it must also run on a site that is not set up.
    requires_system_checks = []
    help = (
        "Measure how often tests find a difference that is not there, how often intervals include "
        "the truth, and how often a fair draw raises an alarm. Without --full, few runs show only "
        "gross faults, in a few seconds. The status is 1 if a promise is missed."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the size, the page and the form of the output."""
        parser.add_argument(
            "--full", action="store_true",
            help="all runs, in about a minute, and their tables written into the page",
        )  # fmt: skip
        parser.add_argument(
            "--page", type=Path, default=PAGE,
            help="the page with the tables (default docs/statistics.md)",
        )  # fmt: skip
        parser.add_argument("--json", action="store_true", help="print the result as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        """Measure, print, and with --full write the tables."""
        is_full: bool = options["full"]
        # Read first: somebody may change the code while it computes for minutes.
        inputs = digest_of_inputs(ROOT) if is_full and options["page"].is_file() else ""
        promises = full_promises() if is_full else quick_promises()
        found = _checked(promises, is_quiet=options["json"])
        if options["json"]:
            rows = [certificate_data(each, is_full=is_full) for each in found]
            self.stdout.write(json.dumps(rows, indent=2))
        else:
            self.stdout.write("\n".join(certificate_lines(found, is_full=is_full)))
        if is_full:
            _write(options["page"], found, inputs)
        missed = sum(not is_kept(each, is_full=is_full) for each in found)
        if missed:
            raise CommandError(f"{missed} of {len(found)} promises are missed.")


def _checked(promises: list[Promise], *, is_quiet: bool) -> list[Certificate]:
    with tqdm(total=len(promises), unit=" promises", disable=is_quiet or None) as bar:
        found = []
        for promise in promises:
            bar.set_description(str(promise.subject))
            found.append(promise.check())
            bar.update()
        return found


def _write(page: Path, found: list[Certificate], inputs: str) -> None:
    # An installed wheel has no documentation.
    if not page.is_file():
        raise CommandError(f"The tables were not written: there is no page {page}.")
    try:
        text = with_seal(with_tables(page.read_text(encoding="utf-8"), found), inputs=inputs)
    except ValueError as error:
        raise CommandError(str(error)) from error
    page.write_text(text, encoding="utf-8")
