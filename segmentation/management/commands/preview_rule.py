"""Print the learners that a rule would match in a course at an instant. Read only."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from segmentation.management.arguments import add_instant, find_course, read_instant
from segmentation.queries import preview
from segmentation.rules import Group, RuleError, check_ranges, explain, parse_text

_SHOWN = 20


class Command(BaseCommand):
    help = (
        "Print the learners that the rule in FILE would match. The command changes nothing. It"
        " ignores leave rules and current membership."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", metavar="FILE", help="the rule as JSON")
        parser.add_argument("--course", required=True, metavar="KEY")
        add_instant(parser)
        parser.add_argument("--json", action="store_true", help="print only JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        rule = _read_rule(Path(options["file"]))
        course = find_course(options["course"])
        found = preview(rule, course, as_of=read_instant(options["as_of"]))
        if options["json"]:
            self.stdout.write(json.dumps(asdict(found)))
            return
        self.stdout.write(f"{explain(rule)}.")
        self.stdout.write(f"{found.matches} of {found.of} learners in scope.")
        self.stdout.write(_names(found.learners))


def _read_rule(path: Path) -> Group:
    try:
        return check_ranges(parse_text(path.read_text()))
    except RuleError as error:
        raise CommandError(f"The rule in {path} is refused: {error}.") from None
    except (OSError, ValueError) as error:
        # ValueError: the file is not UTF-8, or the name is not possible for a file.
        raise CommandError(f"The rule cannot be read from {path}: {error}") from None


def _names(learners: list[str]) -> str:
    more = len(learners) - _SHOWN
    return "\n".join(learners[:_SHOWN] + ([f"and {more:,} more"] if more > 0 else []))
