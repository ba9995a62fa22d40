"""Import runs of the OULAD dataset: roster, items and every click and submission as events."""

import json
from argparse import ArgumentParser
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from tqdm import tqdm

from activity.operations.oulad import STEPS, ImportedRun, OuladSource, import_oulad, runs_in
from activity.oulad.files import OuladError
from common.clock import utc_now


class Command(BaseCommand):
    """Import runs; what is there already is not imported twice."""

    help = "Import runs of the OULAD dataset. What is there already is not imported twice."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Name the folder and the runs."""
        parser.add_argument("folder", type=Path, help="the folder with courses.csv.gz and the rest")
        which = parser.add_mutually_exclusive_group(required=True)
        which.add_argument("--runs", help="such as AAA_2013J,GGG_2014J")
        which.add_argument("--all", action="store_true", help="all 22 runs")
        parser.add_argument("--until-day", type=int, metavar="N", help="only events up to day N")
        parser.add_argument("--json", action="store_true", help="print only JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        """Import, with a progress bar on standard error."""
        source = OuladSource(options["folder"], until_day=options["until_day"])
        try:
            runs = runs_in(source.folder) if options["all"] else _names(options["runs"])
            with tqdm(total=STEPS * len(runs), unit="step", disable=None) as bar:
                on_step = _shown_by(bar)
                imported = list(import_oulad(source, runs, now=utc_now(), on_step=on_step))
        except OuladError as error:
            raise CommandError(str(error)) from None
        self.stdout.write(
            json.dumps([asdict(run) for run in imported])
            if options["json"]
            else "\n".join(_sentence(run) for run in imported)
        )


def _names(text: str) -> list[str]:
    return list(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))


def _shown_by(bar: "tqdm[Any]") -> Callable[[str], None]:
    def show(step: str) -> None:
        bar.set_description(step)
        bar.update()

    return show


def _sentence(run: ImportedRun) -> str:
    if not run.new_enrollments and not run.new_events:
        return (
            f"{run.run}: nothing new. All {run.enrollments:,} enrollments and {run.events:,} events"
            " were imported before."
        )
    return (
        f"{run.run}: {run.new_enrollments:,} of {run.enrollments:,} enrollments and"
        f" {run.new_events:,} of {run.events:,} events are new."
    )
