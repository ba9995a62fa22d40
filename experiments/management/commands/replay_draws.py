"""`manage.py replay_draws`: draw learners of the past again, to see what an experiment would show.

It reads the database and changes nothing.
"""

import json
from argparse import ArgumentParser
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from math import isfinite
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from tqdm import tqdm

from activity.access import COMMAND_LINE, for_user
from activity.models import Course
from common.clock import local_midnight, utc_now
from common.plots import on_its_own
from experiments.covariates import read_covariates
from experiments.design import BLOCKS, HASH, Design
from experiments.metrics.definitions import METRICS, MORE_METRICS, Metric
from experiments.queries.replays import past_of, present_at
from experiments.queries.units import with_cuts
from experiments.reporting.check_plots import p_values_svg
from experiments.reporting.replays import REPLAYS, DrawPlan, Past, Replays, Share, replay
from experiments.stats.estimate import UNKNOWN
from experiments.stats.power import detectable_difference, rise_power

_HALVES = {"control": 0.5, "treatment": 0.5}
_LAST = ("promised", 10)
# Where no smallest lift is known.
_USUAL_LIFT = 0.1
_METRICS = {metric.key: metric for metric in (*METRICS, *MORE_METRICS)}


@dataclass(frozen=True)
class _Asked:
    """What is replayed in each course."""

    metric: Metric
    strata: str
    lift: float | None
    day: int
    times: int
    seed: str


class Command(BaseCommand):
    help = (
        "Draw the learners of past courses into two halves again and again, as if an experiment "
        "had started on a day of the course. Print how often a difference is found that is not "
        "there, and how often a lift is found that is added to one half. Nothing is changed."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the courses, the day of the draw, the strata, the outcome and the lift."""
        parser.add_argument("--course", nargs="+", metavar="KEY", help="all courses without it")
        parser.add_argument(
            "--strata", action="append", default=[], metavar="COVARIATE",
            help="such as “trait region” or “active_days 7 in 2 parts”; draws in balanced blocks",
        )  # fmt: skip
        parser.add_argument(
            "--lift", type=float, help="of the outcome; by default the smallest one that is found "
            "with a chance of 0.8",
        )  # fmt: skip
        parser.add_argument("--draws", type=int, default=REPLAYS, metavar="N")
        parser.add_argument("--day", type=int, default=28, help="of the draw, from 0 on")
        parser.add_argument("--metric", choices=sorted(_METRICS), default=METRICS[0].key)
        parser.add_argument("--window-days", type=int, help="of the outcome, instead of its own")
        parser.add_argument("--seed", default="replay", help="any text")
        parser.add_argument("--plot", type=Path, metavar="FILE.svg", help="draw the p-values")
        parser.add_argument("--json", action="store_true", help="print only JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        """Replay the courses one by one, and print the table."""
        asked, courses = _asked(options), _courses(options["course"])
        bar = tqdm(courses, unit=" courses", disable=options["json"])
        found = {course.key: _replayed(course, asked, now=utc_now()) for course in bar}
        if options["plot"]:
            # Where nobody has the outcome, every p-value is 1.
            varying = {key: each.p_values for key, each in found.items() if each.level > 0}
            svg = p_values_svg(varying)
            options["plot"].write_text(on_its_own(svg))
        if options["json"]:
            self.stdout.write(json.dumps([_as_json(*pair) for pair in found.items()], indent=2))
        else:
            self.stdout.write("\n".join(_lines(found, asked)))


def _asked(options: dict[str, Any]) -> _Asked:
    metric = _METRICS[options["metric"]]
    if options["window_days"]:
        metric = replace(metric, window=timedelta(hours=24 * options["window_days"]))
    strata = "\n".join(options["strata"])
    try:
        read_covariates(strata)
    except ValueError as error:
        raise CommandError(str(error)) from error
    lift = options["lift"]
    if options["draws"] < 1 or not (lift is None or lift > 0):
        raise CommandError("Give at least one draw, and a lift above 0.")
    return _Asked(metric, strata, lift, options["day"], options["draws"], options["seed"])


def _courses(keys: list[str] | None) -> list[Course]:
    rows = for_user(Course.objects.order_by("key"), COMMAND_LINE)
    found = list(rows if keys is None else rows.filter(key__in=keys))
    unknown = set(keys or ()) - {course.key for course in found}
    if unknown or not found:
        raise CommandError(f"There is no course {', '.join(sorted(unknown)) or 'yet'}.")
    return found


def _replayed(course: Course, asked: _Asked, *, now: datetime) -> Replays:
    at = local_midnight(course.starts_on + timedelta(days=asked.day), course.time_zone)
    strata = with_cuts(read_covariates(asked.strata), [course], now=at)
    design = Design(method=BLOCKS if strata else HASH, strata=strata)
    past = past_of(present_at(course, at=at), design=design, metric=asked.metric, as_of=now)
    plan = DrawPlan.of(_HALVES, control="control", seed=f"{asked.seed} {course.key}", design=design)
    lift = _smallest(past, asked.metric) if asked.lift is None else asked.lift
    return replay(past, plan, metric=asked.metric, lift=lift, times=asked.times)


def _smallest(past: Past, metric: Metric) -> float:
    level, half = past.level(metric), past.size // 2
    if not metric.family.counts_learners or not half:
        return _USUAL_LIFT
    found = detectable_difference(half, past.size - half, baseline=level)
    return _USUAL_LIFT if found.reason else found.rise


def _promised(found: Replays) -> float:
    """Return the power that `plan_sample` counts with; nan for other outcomes than shares."""
    if found.with_effect is None or not found.metric.family.counts_learners:
        return UNKNOWN
    half = found.learners // 2
    return rise_power(
        half, found.learners - half, baseline=found.level, rise=found.lift, level=found.confidence
    )


def _as_json(key: str, found: Replays) -> dict[str, Any]:
    return {
        "course": key,
        "learners": found.learners,
        "level": found.level if isfinite(found.level) else None,
        "without_effect": asdict(found.without_effect),
        "with_effect": found.with_effect and asdict(found.with_effect),
        "promised": _promised(found) if isfinite(_promised(found)) else None,
        "p_values": [p_value if isfinite(p_value) else None for p_value in found.p_values],
        "reason": found.reason,
    }


def _lines(found: dict[str, Replays], asked: _Asked) -> Iterator[str]:
    days = asked.metric.window / timedelta(days=1)
    yield (
        f"{asked.metric.name}, counted for {days:g} days from day {asked.day}. {asked.times:,} "
        "draws per course. Standard errors are in brackets."
    )
    heads = ("learners", 9), ("level", 7), ("no effect", 15), ("lift", 7), ("found", 15)
    yield "course".ljust(14) + "".join(f"{head:>{width}}" for head, width in (*heads, _LAST))
    for key, each in found.items():
        none, some = _share(each.without_effect), _share(each.with_effect)
        cells = f"{key:<14}{each.learners:>9,}{_number(each.level):>7}{none:>15}"
        cells += f"{_number(each.lift):>7}{some:>15}{_number(_promised(each)):>10}"
        yield f"{cells}  {each.reason}".rstrip()
    yield _together(list(found.values()))


def _together(found: list[Replays]) -> str:
    """Return the shares of all courses in which the outcome varies."""
    varying = [each for each in found if each.level > 0 and isfinite(_promised(each))]
    none = _sum([each.without_effect for each in varying])
    some = _sum([each.with_effect for each in varying if each.with_effect])
    promised = sum(map(_promised, varying)) / len(varying) if varying else UNKNOWN
    return (
        f"{len(varying)} courses with the outcome: a difference without an effect in "
        f"{_share(none)}, the lift found in {_share(some)}, promised {_number(promised)}"
    )


def _sum(shares: list[Share]) -> Share:
    return Share(sum(each.found for each in shares), sum(each.of for each in shares))


def _number(value: float) -> str:
    return f"{value:.3f}" if isfinite(value) else "-"


def _share(share: Share | None) -> str:
    return f"{share.rate:.3f} ({share.error:.3f})" if share and share.of else "-"
