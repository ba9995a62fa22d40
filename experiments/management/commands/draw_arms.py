"""`manage.py draw_arms`: draw the ids of a file by the hash method, without storing the draws."""

import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from common.spreadsheets import FOR_SPREADSHEET_HELP, Texts
from experiments.randomize.arms import Arms
from experiments.terminal.draws import Draws, draw_file, write_draws
from experiments.terminal.progress import reading_bar
from experiments.terminal.weights import parse_weights


class Command(BaseCommand):
    # It only reads a file, so it must also run on a site that is not set up.
    requires_system_checks = []
    help = (
        "Draw the ids of a CSV file into arms by the hash method and write id, bucket and arm to "
        "a file. The database is not changed. The same seed and weights always draw the same "
        "arms. Ids are written unchanged, for programs. For a spreadsheet use --for-spreadsheet."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the file, the seed and the weights."""
        parser.add_argument(
            "ids", type=Path, help="CSV file with a column id, or a file with one id per line"
        )
        parser.add_argument("--seed", required=True, help="any text")
        parser.add_argument("--weights", required=True, help="like control=0.5,nudge=0.5")
        parser.add_argument(
            "--coverage", type=float, default=1.0, help="share of ids to draw, from 0 to 1"
        )
        parser.add_argument("--out", type=Path, required=True, help="the CSV file to write")
        parser.add_argument("--for-spreadsheet", action="store_true", help=FOR_SPREADSHEET_HELP)
        parser.add_argument("--json", action="store_true", help="print the result as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        """Draw, write the file and print the arm sizes."""
        texts = Texts(marks=options["for_spreadsheet"])
        try:
            arms = Arms.of(parse_weights(options["weights"]), coverage=options["coverage"])
            _refuse_overwriting(options["ids"], options["out"])
            with reading_bar(options["ids"]) as progress:
                draws = draw_file(
                    options["ids"], arms=arms, seed=options["seed"], progress=progress
                )
            write_draws(draws, path=options["out"], texts=texts)
        except ValueError as error:
            raise CommandError(str(error)) from error
        result = _result(draws, arms)
        if texts.warning:
            self.stderr.write(texts.warning)
        self.stdout.write(json.dumps(result, indent=2) if options["json"] else _text(result))


def _refuse_overwriting(ids: Path, out: Path) -> None:
    if out.exists() and ids.exists() and out.samefile(ids):
        raise CommandError(f"{out} is the input file. Name another file with --out.")


def _result(draws: Draws, arms: Arms) -> dict[str, Any]:
    return {
        "ids": len(draws.ids),
        "column": draws.column,
        "repeated": len(draws.ids) - len(set(draws.ids)),
        "arms": {key: draws.sizes[key] for key in arms.keys},
        "not_drawn": draws.sizes[None],
    }


def _text(result: dict[str, Any]) -> str:
    source = f"column {result['column']}" if result["column"] else "a list without a header"
    sizes = ", ".join(f"{arm} {size:,}" for arm, size in result["arms"].items())
    repeated = f" {result['repeated']:,} are repeated." if result["repeated"] else ""
    return (
        f"{result['ids']:,} ids from {source}.{repeated} "
        f"Drawn: {sizes}. Not drawn: {result['not_drawn']:,}."
    )
