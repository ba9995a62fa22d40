"""Check that SQL, plain Python and evaluation driven by Due agree."""

import json
from dataclasses import asdict
from itertools import count
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from activity.models import Course
from common.clock import utc_now
from segmentation.management.arguments import every_course, find_course, read_instant
from segmentation.proof import Proof, prove_course, prove_generated

IDLE = "Course '{key}' has no active segment: nothing to compare."


class Command(BaseCommand):
    """Compare the three on live courses or on a simulated one, and roll back all changes."""

    help = (
        "Compare the results of SQL, plain Python and evaluation driven by due times. Uses the"
        " live courses, or a simulated course with --generated or if there is no course. Stores"
        " nothing. Exits with 1 at the first difference and names the learner."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the arguments."""
        parser.add_argument("--course", metavar="KEY", help="default: all courses")
        parser.add_argument("--as-of", metavar="T", help="ISO 8601 with an offset; default: now")
        parser.add_argument("--generated", action="store_true", help="use a simulated course")
        parser.add_argument("--seed", type=int, default=1, help="seed of the simulated course")
        parser.add_argument(
            "--cases",
            type=int,
            metavar="N",
            help="simulate further courses until so many random rules with a history are compared",
        )
        parser.add_argument("--json", action="store_true", help="print only JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        """Compare and print the result."""
        proof, idle = self._prove(options)
        if options["json"]:
            self.stdout.write(json.dumps({"agree": proof.difference is None, **asdict(proof)}))
        if proof.difference is not None:
            raise CommandError(_sentence(proof))
        if options["json"]:
            return
        for course in idle:
            self.stdout.write(IDLE.format(key=course.key))
        if proof.instants:
            self.stdout.write(_sentence(proof))

    def _prove(self, options: dict[str, Any]) -> tuple[Proof, list[Course]]:
        """Return the result, and the courses in which there was nothing to compare."""
        key = options["course"]
        courses = [find_course(key)] if key else list(every_course())
        if options["generated"] or options["cases"] or not courses:
            return self._prove_generated(options["seed"], options["cases"] or 1), []
        return _prove_live(courses, options["as_of"])

    def _prove_generated(self, seed: int, wanted: int) -> Proof:
        proof = Proof()
        for number in count(seed):
            proof += prove_generated(number)
            if proof.difference is not None or proof.cases >= wanted:
                return proof
            self.stderr.write(f"{proof.cases:,} of {wanted:,} cases agree ...")
        raise AssertionError("count() ends never")


def _prove_live(courses: list[Course], instant: str | None) -> tuple[Proof, list[Course]]:
    as_of = read_instant(instant) if instant else utc_now()
    proof, idle = Proof(), []
    for course in courses:
        found = prove_course(course, as_of=as_of)
        if not found.instants:
            idle.append(course)
        proof += found
        if proof.difference is not None:
            break
    return proof, idle


def _sentence(proof: Proof) -> str:
    found = proof.difference
    if found is None:
        cases = f" in {proof.cases:,} generated cases" if proof.cases else ""
        return (
            f"SQL, Python and evaluation driven by due times agree: {proof.comparisons:,}"
            f" comparisons at {proof.instants:,} instants{cases}."
        )
    # A wrong day affects every segment.
    segment = f", segment '{found.segment}'" if found.segment else ""
    return (
        f"They differ about learner '{found.learner}' in course '{found.course}'{segment},"
        f" as of {found.as_of}: {found.what}."
    )
