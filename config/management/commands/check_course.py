"""Say what a course lacks for its first message, and which guards apply to its messages."""

import json
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from common.clock import utc_now
from config.readiness import readiness_of, readiness_text


class Command(BaseCommand):
    help = "Say what a course lacks for its first message, and which guards apply. Reads only."

    def add_arguments(self, parser: CommandParser) -> None:
        """Name the course."""
        parser.add_argument("course", metavar="KEY")
        parser.add_argument("--json", action="store_true", help="print JSON only")

    def handle(self, *args: Any, **options: Any) -> None:
        """Look, and say what there is."""
        key = options["course"]
        found = readiness_of([key], now=utc_now()).get(key)
        if found is None:
            raise CommandError(f"There is no course '{key}'.")
        said = (
            json.dumps(asdict(found)) if options["json"] else "\n".join(readiness_text(key, found))
        )
        self.stdout.write(said)
