"""`manage.py analyze_csv`: compare the arms of a table from anywhere."""

import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from experiments.terminal.analysis import Analysis, Request, analyze_table, parse_metric
from experiments.terminal.analysis_text import analysis_data, analysis_lines
from experiments.terminal.tables import TableError, open_table


class Command(BaseCommand):
    # It reads a file: the state of the site does not matter, and its apps may not be loaded.
    requires_system_checks = []
    help = (
        "Compare the arms in a CSV file (.gz too): rates by the score test or an exact "
        "one, means by Welch's, each arm against the control."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the file, its columns and the level."""
        parser.add_argument("file", type=Path, help="CSV file with a header, a row a unit")
        parser.add_argument("--arm", required=True, metavar="COL", help="the column of the arm")
        parser.add_argument("--control", required=True, metavar="VALUE", help="the control's name")
        parser.add_argument(
            "--metric", action="append", required=True, metavar="COL[:binary|:mean]",
            help="a column of outcomes; may be given more than once",
        )  # fmt: skip
        parser.add_argument("--covariate", metavar="COL", help="not available yet")
        parser.add_argument("--cluster", metavar="COL", help="not available yet")
        parser.add_argument("--level", type=float, default=0.95, help="of the intervals, as 0.95")
        parser.add_argument("--json", action="store_true", help="print the result as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        """Analyze and print."""
        _refuse_what_is_not_there_yet(options)
        try:
            analysis = _analyze(options)
        except TableError as error:
            raise CommandError(str(error)) from error
        if options["json"]:
            self.stdout.write(json.dumps(analysis_data(analysis), indent=2, allow_nan=False))
        else:
            self.stdout.write("\n".join(analysis_lines(analysis)))


def _analyze(options: dict[str, Any]) -> Analysis:
    with open_table(options["file"]) as table:
        metrics = [parse_metric(text, header=table.header) for text in options["metric"]]
        request = Request(options["arm"], options["control"], tuple(metrics), options["level"])
        return analyze_table(table, request=request)


def _refuse_what_is_not_there_yet(options: dict[str, Any]) -> None:
    for name in ("covariate", "cluster"):
        if options[name]:
            raise CommandError(f"--{name} is not available yet.")
    # Written so that a nan fails too.
    if not 0 < options["level"] < 1:
        raise CommandError("--level must lie between 0 and 1, as in 0.95.")
