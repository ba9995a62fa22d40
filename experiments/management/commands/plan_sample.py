"""`manage.py plan_sample`: how many learners an experiment needs. It reads and writes no data."""

import json
from argparse import ArgumentParser
from collections.abc import Iterator
from math import ceil
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from experiments.stats.designs import SectionDesign, needed_sections
from experiments.stats.power import LEVEL, POWER, design_effect, needed_per_arm
from experiments.terminal.layout import table_lines

ALONE = "--icc and --cluster-size belong together: give both or neither."


class Command(BaseCommand):
    # It only computes, so it must also run on a site that is not set up.
    requires_system_checks = []
    help = (
        "Say how many learners per arm are needed to find a lift of a share, such as learners who "
        "attempt a quiz within 7 days, with the test that reports use. All shares are from 0 to 1."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the shares, and the sections if whole sections are drawn."""
        parser.add_argument("--baseline", type=float, required=True, help="share in the control")
        parser.add_argument(
            "--lift", type=float, required=True, help="treatment minus control, such as 0.1"
        )
        parser.add_argument(
            "--power", type=float, default=POWER, help="chance of finding the lift (default 0.8)"
        )
        parser.add_argument("--level", type=float, default=LEVEL, help="default 0.95")
        parser.add_argument("--icc", type=float, help="correlation within sections, if drawn whole")
        parser.add_argument("--cluster-size", type=float, help="learners per section")
        parser.add_argument("--json", action="store_true", help="print the result as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        """Compute and print the sample."""
        try:
            result = _plan(options)
        except ValueError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(json.dumps(result, indent=2) if options["json"] else _text(result))


def _plan(options: dict[str, Any]) -> dict[str, Any]:
    shares = {name: options[name] for name in ("baseline", "lift", "power", "level")}
    single = needed_per_arm(**shares)
    icc, size = options["icc"], options["cluster_size"]
    if (icc is None) != (size is None):
        raise ValueError(ALONE)
    if icc is None:
        return {**shares, "per_arm": single, "total": 2 * single}
    sections = _sections(options)
    return {
        **shares,
        "icc": icc,
        "cluster_size": size,
        "design_effect": design_effect(icc, size),
        "sections_per_arm": sections,
        "per_arm": ceil(sections * size),
        "total": 2 * ceil(sections * size),
        "per_arm_if_drawn_singly": single,
    }


def _sections(options: dict[str, Any]) -> int:
    baseline, lift = options["baseline"], options["lift"]
    # A fall of the learners who do it is a rise of those who do not.
    rate, rise = (baseline, lift) if lift > 0 else (1 - baseline, -lift)
    return needed_sections(
        SectionDesign(2, 2, options["cluster_size"], options["icc"]),
        baseline=rate,
        rise=min(rise, 1 - rate),
        level=options["level"],
        power=options["power"],
    )


def _text(result: dict[str, Any]) -> str:
    found = (
        f"{result['per_arm']:,} learners per arm, {result['total']:,} in all, find a lift from "
        f"{result['baseline']:g} to {result['baseline'] + result['lift']:g} with a chance of "
        f"{result['power']:g} (level {result['level']:g})."
    )
    if "icc" not in result:
        return found
    sentence = (
        f"{found} These are {result['sections_per_arm']:,} sections per arm of "
        f"{result['cluster_size']:g} learners (design effect {result['design_effect']:.2f})."
    )
    return "\n".join([sentence, *table_lines(list(_rows(result)))])


def _rows(result: dict[str, Any]) -> Iterator[dict[str, str]]:
    single = result["per_arm_if_drawn_singly"]
    yield {
        "": "whole sections",
        "sections per arm": f"{result['sections_per_arm']:,}",
        "learners per arm": f"{result['per_arm']:,}",
        "learners": f"{result['total']:,}",
    }
    yield {
        "": "drawn singly",
        "learners per arm": f"{single:,}",
        "learners": f"{2 * single:,}",
    }
