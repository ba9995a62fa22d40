"""Install a playbook that ships with the project."""

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from common.clock import utc_now
from interventions.operations import install_guarded
from segmentation.models import Playbook
from segmentation.operations import SegmentationError, shipped_playbooks


class Command(BaseCommand):
    """Create the segments of a shipped playbook and keep them for courses.

    The command is not in segmentation, because it also creates missing guards and drafts of
    messages.
    """

    help = (
        "Install a shipped playbook. If the site has no quiet hours, frequency caps or categories,"
        " create them. Messages for its segments are made as drafts."
        " Learners who are in a segment from the start get no message for it."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the arguments."""
        parser.add_argument("name", help=f"one of: {', '.join(shipped_playbooks())}")
        parser.add_argument(
            "--course", action="append", metavar="KEY", help="can be repeated; default: all courses"
        )
        parser.add_argument("--json", action="store_true", help="print only JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        """Install the playbook and print its segments."""
        try:
            made = install_guarded(options["name"], now=utc_now(), course_keys=options["course"])
        except SegmentationError as error:
            raise CommandError(str(error)) from None
        drafts = [cadence.key for cadence in made.drafts]
        installed = _describe(made.playbook)
        installed |= {"guards_made": made.guards, "drafts_made": drafts}
        if options["json"]:
            self.stdout.write(json.dumps(installed))
            return
        courses = ", ".join(installed["courses"]) or "no course yet"
        self.stdout.write(f"The playbook '{made.playbook.key}' is kept for {courses}.")
        for key, status in installed["segments"].items():
            self.stdout.write(f"  {key}: {status}")
        for guard in installed["guards_made"]:
            self.stdout.write(f"Created {guard}, because there was none.")
        if made.drafts:
            self.stdout.write(
                f"Created {len(made.drafts)} cadences as drafts. Read them in the admin, and "
                "activate those that you want."
            )


def _describe(playbook: Playbook) -> dict[str, Any]:
    return {
        "playbook": playbook.key,
        "mode": playbook.mode,
        "courses": list(playbook.courses.order_by("key").values_list("key", flat=True)),
        "segments": dict(playbook.segments.values_list("key", "status")),
    }
