"""Rebuild the read models from the event log."""

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from activity.operations import rebuild_read_models
from activity.queries import course_id_of


class Command(BaseCommand):
    """Rebuild DailyActivity, Progress and last_event_at while ingest goes on."""

    help = "Rebuild the read models from the event log, for one course or for all."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the arguments."""
        parser.add_argument("--course", metavar="KEY", help="only this course")
        parser.add_argument("--json", action="store_true", help="print only JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        """Rebuild the read models and print the number of enrollments."""
        course_id = None
        if options["course"]:
            course_id = course_id_of(options["course"])
            if course_id is None:
                raise CommandError(f"There is no course {options['course']!r}.")
        rebuilt = rebuild_read_models(course_id=course_id)
        as_json = json.dumps({"enrollments": rebuilt})
        self.stdout.write(
            as_json if options["json"] else f"Rebuilt the read models of {rebuilt:,} enrollments."
        )
