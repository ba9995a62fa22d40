"""Shared helpers of the demo's tests."""

import json
from collections.abc import Mapping
from pathlib import Path
from statistics import mean
from typing import Any

from activity.simulation.world import World
from common.clock import utc_now
from config.demo.run import DemoOptions, draw_world, run_demo
from config.demo.scenario import CONTROL, EXPERIMENT_KEY, NUDGE
from config.demo.summary import counted_draws
from experiments.models import Experiment
from experiments.queries import clock_of

# If outcomes are counted wrongly, the interval misses with nearly every seed, so a few are enough.
# Two or more of three intervals of 95% miss in 0.7% of all cases. The seeds are fixed.
SEEDS = range(1, 4)
MOST_MISSES = 1
METRIC = "quiz_attempted_7d"
# The seed of the demo that other tests look at too: to play one takes seconds.
SHARED = 3


def options(seed: int) -> DemoOptions:
    """Return the options of a demo with enough learners for a narrow interval."""
    return DemoOptions(learners=250, weeks=3, seed=seed)


def metric_of(found: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """Return the metric's row of the printed table."""
    row: Mapping[str, Any] = next(
        row for row in found["experiment"]["metrics"] if row["key"] == key
    )
    return row


def assert_most_intervals_cover(found: Mapping[str, Any], results: Path) -> None:
    """Keep the interval of the demo with those of other seeds, and check all that are there."""
    metric = metric_of(found, METRIC)
    # A very wide interval would always cover.
    assert 0.1 < metric["true_lift"] < 0.35
    assert metric["high"] - metric["low"] < 0.4
    (results / f"{found['seed']}.json").write_text(json.dumps(metric))
    played = [json.loads(path.read_text()) for path in results.iterdir()]
    misses = [row for row in played if not row["covers"]]
    assert len(misses) <= MOST_MISSES, misses


class Demo:
    """A played demo: its options, its world and its output."""

    def __init__(self, options: DemoOptions) -> None:
        self.options = options
        self.found: Mapping[str, Any] = run_demo(options)
        self.world: World = draw_world(options)

    @property
    def experiment(self) -> Experiment:
        """Return the demo's experiment."""
        return Experiment.objects.get(key=EXPERIMENT_KEY)

    def metric(self, key: str) -> Mapping[str, Any]:
        """Return the metric's row of the printed table."""
        return metric_of(self.found, key)

    def known_levels(self, key: str) -> dict[str, float]:
        """Return the rate or mean of each arm according to the simulator."""
        as_of = clock_of(self.experiment, now=utc_now())
        draws = counted_draws(self.world, self.experiment, as_of=as_of)
        return {
            CONTROL: mean(getattr(d.outcomes.without, key) for d in draws if d.arm == CONTROL),
            NUDGE: mean(getattr(d.outcomes.messaged, key) for d in draws if d.arm == NUDGE),
        }
