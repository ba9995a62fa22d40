"""Import course runs of the Open University Learning Analytics Dataset."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from tqdm import tqdm

from activity.importing.oulad import (
    ImportOptions,
    OuladError,
    RunImport,
    count_enrollments,
    import_runs,
    known_runs,
)
from common.clock import utc_now


class Command(BaseCommand):
    help = "Import runs of the OULAD from the folder DIR. Rows that exist already are not changed."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("folder", metavar="DIR", type=Path)
        chosen = parser.add_mutually_exclusive_group(required=True)
        chosen.add_argument("--runs", metavar="RUN,RUN", help="for example AAA_2013J,GGG_2014J")
        chosen.add_argument("--all", action="store_true", help="import every run in the folder")
        parser.add_argument(
            "--until-day",
            type=int,
            metavar="N",
            help="leave out events after day N of each run",
        )
        parser.add_argument("--json", action="store_true", help="print only JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        done: list[RunImport] = []
        try:
            self._import(done, options)
        except OuladError as error:
            raise CommandError(str(error)) from None
        finally:
            # Also print the runs before a faulty one, because they stay imported.
            if done and not options["json"]:
                self.stdout.write("\n".join(map(_sentence, done)))
        if options["json"]:
            self.stdout.write(json.dumps({"runs": [asdict(run) for run in done]}))

    def _import(self, done: list[RunImport], options: dict[str, Any]) -> None:
        folder = options["folder"]
        known = known_runs(folder)
        runs = known if options["all"] else _named(options["runs"])
        chosen = ImportOptions(utc_now(), until_day=options["until_day"])
        total = count_enrollments(folder, runs)
        with tqdm(total=total, unit=" enrollments", disable=options["json"]) as bar:

            def show(run: str, count: int) -> None:
                bar.set_postfix_str(run)
                bar.update(count)

            # Collected one by one: if a run is faulty, those before it are still printed.
            done.extend(import_runs(folder, runs=runs, options=chosen, on_progress=show))


def _named(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",")]
    return list(dict.fromkeys(name for name in names if name))


def _sentence(imported: RunImport) -> str:
    if imported.is_empty:
        return f"{imported.run}: nothing new, everything was imported already."
    return (
        f"{imported.run}: {imported.enrollments:,} enrollments, {imported.learners:,} new learners,"
        f" {imported.items:,} items, {imported.events:,} events."
    )
