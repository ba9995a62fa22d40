"""Show what a course lacks for its first message, and the guards of its messages."""

import json
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from common.clock import utc_now
from config.readiness import readiness_of, readiness_text


class Command(BaseCommand):
    help = (
        "Show what a course lacks for its first message, and the guards that apply. The command"
        " changes nothing."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the arguments."""
        parser.add_argument("course", metavar="KEY")
        parser.add_argument("--json", action="store_true", help="print JSON only")

    def handle(self, *args: Any, **options: Any) -> None:
        """Check the course and print the result."""
        key = options["course"]
        found = readiness_of([key], now=utc_now()).get(key)
        if found is None:
            raise CommandError(f"There is no course '{key}'.")
        text = (
            json.dumps(asdict(found)) if options["json"] else "\n".join(readiness_text(key, found))
        )
        self.stdout.write(text)
