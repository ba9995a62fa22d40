"""`manage.py analyze_csv`: compare the arms in a CSV file of any origin."""

import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from experiments.terminal.analysis import Analysis, analyze_table
from experiments.terminal.analysis_data import analysis_data
from experiments.terminal.analysis_text import analysis_lines
from experiments.terminal.progress import reading_bar
from experiments.terminal.requests import FORMS, Request, parse_metric
from experiments.terminal.tables import Table, TableError, open_table
from experiments.terminal.weights import parse_planned_weights


class Command(BaseCommand):
    # It only reads a file, so it must also run on a site that is not set up.
    requires_system_checks = []
    help = (
        "Compare each arm in a CSV file (or .csv.gz) with the control. Rates are compared by the "
        "score test or an exact test, means by Welch's test or a permutation test, ratios by the "
        "delta method, times by restricted means and the log-rank test. Covariates adjust by Lin's "
        "regression. If whole sections were drawn, --cluster compares sections."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the file, its columns and how to analyze them."""
        parser.add_argument("file", type=Path, help="CSV file with a header")
        parser.add_argument("--arm", required=True, metavar="COL", help="the column of the arm")
        parser.add_argument(
            "--control", required=True, metavar="VALUE", help="the value of the control arm"
        )
        parser.add_argument(
            "--metric", action="append", required=True, metavar="COL[:KIND]",
            help=f"a column of outcomes, as {FORMS}; can be repeated. Without a kind, a column of "
            "only 0 and 1 is binary, and another one a mean",
        )  # fmt: skip
        parser.add_argument(
            "--covariate", action="append", default=[], metavar="COL",
            help="adjust for this column from before the draw, numbers or categories; can be "
            "repeated. A row without it stays in",
        )  # fmt: skip
        parser.add_argument(
            "--cluster", default="", metavar="COL",
            help="the column of the section, if sections were drawn whole",
        )  # fmt: skip
        parser.add_argument(
            "--unit", default="", metavar="COL",
            help="the column of the unit, if a unit can have several rows",
        )  # fmt: skip
        parser.add_argument(
            "--weights", metavar="ARM=N,ARM=N",
            help="the weights of the draw, such as control=1,nudge=3; equal if not given",
        )  # fmt: skip
        parser.add_argument(
            "--cap", type=float, metavar="P",
            help="lower outcomes of means above this percentile of all arms to it, such as 99",
        )  # fmt: skip
        parser.add_argument(
            "--level", type=float, default=0.95, help="confidence level of the intervals"
        )
        parser.add_argument("--json", action="store_true", help="print the result as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        """Analyze and print."""
        _check_options(options)
        try:
            with open_table(options["file"]) as table:
                analysis = _analyze(table, options)
        except TableError as error:
            raise CommandError(str(error)) from error
        if options["json"]:
            self.stdout.write(json.dumps(analysis_data(analysis), indent=2, allow_nan=False))
        else:
            self.stdout.write("\n".join(analysis_lines(analysis)))


def _analyze(table: Table, options: dict[str, Any]) -> Analysis:
    request = Request(
        options["arm"],
        options["control"],
        tuple(parse_metric(text, header=table.header) for text in options["metric"]),
        options["level"],
        tuple(options["covariate"]),
        options["cluster"],
        options["unit"],
        parse_planned_weights(options["weights"]) if options["weights"] else {},
        options["cap"],
    )
    with reading_bar(table.path) as progress:
        return analyze_table(table, request=request, progress=progress)


def _check_options(options: dict[str, Any]) -> None:
    # These forms of the conditions also refuse nan.
    if not 0 < options["level"] < 1:
        raise CommandError("--level must be between 0 and 1, such as 0.95.")
    if options["cap"] is not None and not 0 < options["cap"] < 100:
        raise CommandError("--cap must be a percentile between 0 and 100, such as 99.")
