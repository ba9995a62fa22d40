"""`manage.py analyze_csv`: compare the arms in a CSV file of any origin."""

import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from experiments.terminal.analysis import Analysis, Request, analyze_table, parse_metric
from experiments.terminal.analysis_text import analysis_data, analysis_lines
from experiments.terminal.tables import TableError, open_table


class Command(BaseCommand):
    # It only reads a file, so it must also run on a site that is not set up.
    requires_system_checks = []
    help = (
        "Compare each arm in a CSV file (or .csv.gz) with the control. Rates are compared by the "
        "score test or an exact test, means by Welch's test or a permutation test."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the file, its columns and the level."""
        parser.add_argument("file", type=Path, help="CSV file with a header and one row per unit")
        parser.add_argument("--arm", required=True, metavar="COL", help="the column of the arm")
        parser.add_argument(
            "--control", required=True, metavar="VALUE", help="the value of the control arm"
        )
        parser.add_argument(
            "--metric", action="append", required=True, metavar="COL[:binary|:mean]",
            help="a column of outcomes; can be repeated",
        )  # fmt: skip
        parser.add_argument("--covariate", metavar="COL", help="not available yet")
        parser.add_argument("--cluster", metavar="COL", help="not available yet")
        parser.add_argument(
            "--level", type=float, default=0.95, help="confidence level of the intervals"
        )
        parser.add_argument("--json", action="store_true", help="print the result as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        """Analyze and print."""
        _check_options(options)
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


def _check_options(options: dict[str, Any]) -> None:
    for name in ("covariate", "cluster"):
        if options[name]:
            raise CommandError(f"--{name} is not available yet.")
    # This form of the condition also refuses nan.
    if not 0 < options["level"] < 1:
        raise CommandError("--level must be between 0 and 1, such as 0.95.")
