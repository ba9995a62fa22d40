"""Shared helpers of the demo's tests."""

from collections.abc import Mapping
from statistics import mean
from typing import Any

from activity.simulation.world import World
from common.clock import utc_now
from config.demo.run import DemoOptions, draw_world, run_demo
from config.demo.scenario import CONTROL, EXPERIMENT_KEY, NUDGE
from config.demo.summary import counted_draws
from experiments.models import Experiment
from experiments.queries import clock_of


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
        return next(row for row in self.found["experiment"]["metrics"] if row["key"] == key)

    def known_levels(self, key: str) -> dict[str, float]:
        """Return the rate or mean of each arm according to the simulator."""
        as_of = clock_of(self.experiment, now=utc_now())
        draws = counted_draws(self.world, self.experiment, as_of=as_of)
        return {
            CONTROL: mean(getattr(d.outcomes.without, key) for d in draws if d.arm == CONTROL),
            NUDGE: mean(getattr(d.outcomes.messaged, key) for d in draws if d.arm == NUDGE),
        }
