"""Evaluate every enrollment as of an instant, whether it is due or not."""

import json
from datetime import datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from tqdm import tqdm

from activity.models import Course, Enrollment
from segmentation.management.arguments import add_instant, every_course, find_course, read_instant
from segmentation.operations import CourseEvaluation, SegmentationError, evaluate_courses

LEFT_OUT = (
    "Enrollments not evaluated: {count:,}. Their evaluation failed and will be tried again, or they"
    " were evaluated as of a later instant meanwhile. The admin page of due evaluations shows them."
)


class Command(BaseCommand):
    """Update the memberships of one course, or of all courses, to an instant."""

    help = (
        "Evaluate every enrollment as of an instant, which may not be before the last evaluation."
        " Waits for enrollments that are being changed. Prints evaluated, entered, left, and"
        " the members of each segment."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the arguments."""
        add_instant(parser)
        parser.add_argument("--course", metavar="KEY", help="default: all courses")
        parser.add_argument("--json", action="store_true", help="print only JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        """Evaluate and print the result."""
        as_of = read_instant(options["as_of"])
        key = options["course"]
        courses = [find_course(key)] if key else list(every_course())
        result = _evaluate(courses, as_of=as_of)
        if result.left_out:
            # On standard error, so that scripts can parse standard output.
            self.stderr.write(LEFT_OUT.format(count=result.left_out))
        values = {
            "evaluated": result.counts.evaluated,
            "entered": result.counts.entered,
            "left": result.counts.left,
        }
        if options["json"]:
            shape = {"as_of": as_of.isoformat(), **values, "members": result.members}
            self.stdout.write(json.dumps(shape))
            return
        self.stdout.write(", ".join(f"{name} {count:,}" for name, count in values.items()))
        for segment, size in result.members.items():
            self.stdout.write(f"  {segment}: {size:,} members")


def _evaluate(courses: list[Course], *, as_of: datetime) -> CourseEvaluation:
    total = Enrollment.objects.filter(course__in=courses).count()
    # The bar is on standard error, and only in a terminal, so that scripts can parse the output.
    with tqdm(total=total, desc="evaluating", unit=" enrollments", disable=None) as bar:
        try:
            return evaluate_courses(courses, as_of=as_of, on_batch=bar.update)
        except SegmentationError as error:
            raise CommandError(str(error)) from None
