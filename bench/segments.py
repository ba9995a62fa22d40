"""What 1, 5, 25 and 100 active segments cost, on every OULAD enrollment at day 60.

Their rules are random, with up to three conditions or groups each, over all signals. One full
evaluation of each number is timed, with its writes, by as many workers as in bench.evaluate. Each
further segment must cost less than the first one.

    python -m bench.segments [--data FOLDER] [--plot FILE.svg] [--json]
"""

import argparse
import json
import os
import resource
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random
from statistics import median

import altair as alt

from bench.evaluate import AS_OF, Bench, evaluate, forget, load, own_database, shut_down, timed

# Their models can be imported now that bench.evaluate has set up Django.
from activity.models import Course  # isort: skip
from common.plots import ACCENT, QUIET, draw, on_its_own  # isort: skip
from segmentation.models import Membership, Playbook, Segment, SegmentStatus  # isort: skip
from segmentation.operations import (  # isort: skip
    SegmentFields,
    activate_segment,
    add_courses,
    create_segment,
)
from segmentation.proof.random_rules import random_rule  # isort: skip

NUMBERS = (1, 5, 25, 100)
ROUNDS = 3
WORKERS = 2


@dataclass(frozen=True)
class Cost:
    """The seconds of a full evaluation with so many segments, and the memberships it wrote."""

    segments: int
    seconds: float
    memberships: int


def main() -> int:
    """Measure, print, and return 1 if a number of segments costs too much."""
    options = _options()
    bench = Bench(options.data, ThreadPoolExecutor(WORKERS), WORKERS)
    with own_database(options), shut_down(bench):
        load(options.data)
        Segment.objects.update(status=SegmentStatus.ARCHIVED)
        found = list(_measured(bench))
    first = found[0]
    if options.json:
        print(json.dumps([asdict(each) for each in found]))
    else:
        for each in found:
            print(_line(each, first))
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        print(f"peak memory of the process with both workers: {peak:,} MB")
    if options.plot:
        options.plot.write_text(on_its_own(plot(found)))
    return 0 if all(each.seconds <= each.segments * first.seconds for each in found) else 1


def plot(found: list[Cost]) -> str:
    """Return the seconds by the number of segments as SVG, beside a cost in proportion."""
    rows = [{"segments": each.segments, "seconds": each.seconds} for each in found]
    one = found[0].seconds
    ends = [{"segments": n, "seconds": n * one} for n in (1, found[-1].segments)]
    x = alt.X("segments:Q", title="active segments")
    y = alt.Y("seconds:Q", title="seconds for 32,593 enrollments, with writes")
    base = alt.Chart(alt.InlineData(values=rows)).encode(x=x, y=y)
    straight = alt.Chart(alt.InlineData(values=ends)).encode(x=x, y=y)
    layers = [
        straight.mark_line(color=QUIET, strokeDash=[4, 3], clip=True),
        base.mark_line(color=ACCENT, strokeWidth=2.5),
        base.mark_point(color=ACCENT, filled=True, size=60),
    ]
    scale = alt.Scale(domain=[0, 1.2 * max(each.seconds for each in found)])
    y.scale = scale
    return draw(alt.layer(*layers).properties(width=560, height=300))


def _measured(bench: Bench) -> Iterator[Cost]:
    playbook = Playbook.objects.create(key="bench-many", name="Many")
    add_courses(playbook.pk, list(Course.objects.values_list("pk", flat=True)))
    made = 0
    for number in NUMBERS:
        for each in range(made, number):
            fields = SegmentFields(
                key=f"rule-{each}", name=f"Rule {each}", rule=random_rule(Random(each))
            )
            activate_segment(create_segment(playbook.pk, fields, now=AS_OF).pk, now=AS_OF)
        made = number
        yield Cost(number, *_full(bench))


def _full(bench: Bench) -> tuple[float, int]:
    rounds = []
    for _ in range(ROUNDS):
        forget()
        rounds.append(timed(lambda: evaluate(bench, AS_OF))[0])
    return median(rounds), Membership.objects.count()


def _line(each: Cost, first: Cost) -> str:
    share = each.seconds / (each.segments * first.seconds)
    aim = "" if each is first else f" (aim 1{'' if share <= 1 else ', MISSED'})"
    return (
        f"{each.segments:4} segments {each.seconds:8.2f} s   {each.memberships:9,} memberships   "
        f"a segment costs {share:.2f} of the first{aim}"
    )


def _options() -> argparse.Namespace:
    shared = os.environ.get("NUDGELAB_SHARED_DATA", "../shared/data")
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path(shared) / "oulad", help="OULAD's folder")
    parser.add_argument("--plot", type=Path, metavar="FILE.svg")
    parser.add_argument("--json", action="store_true", help="print JSON instead")
    # Its segments must not stay in the database that bench.evaluate may keep.
    parser.set_defaults(keep=False, million=None)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
