"""What an experiment promises at its start, as canonical JSON with a digest. Pure."""

import hashlib
import json
from dataclasses import asdict, dataclass

from experiments.metrics import METRICS, Metric, metric_of
from experiments.randomize.arms import Arms

LEVEL = 0.95


class PlanError(ValueError):
    """Why an experiment cannot be started like this, in a sentence for its admin."""


@dataclass(frozen=True)
class PlannedArm:
    """An arm as it was at the start."""

    key: str
    weight: float
    is_control: bool


@dataclass(frozen=True)
class Plan:
    """The arms in their order, how they are drawn, and what they are judged by."""

    arms: tuple[PlannedArm, ...]
    seed: str
    metrics: tuple[str, ...] = tuple(metric.key for metric in METRICS)
    level: float = LEVEL
    method: str = "hash"

    def __post_init__(self) -> None:
        if [arm.is_control for arm in self.arms if arm.weight > 0].count(True) != 1:
            raise PlanError("An experiment needs one control arm, with a weight above 0.")
        if len([arm for arm in self.arms if arm.weight > 0]) < 2:
            raise PlanError("An experiment needs an arm beside the control.")
        if not self.seed:
            raise PlanError("An experiment needs a seed.")
        try:
            self.draw(coverage=1.0)
        except ValueError as error:
            raise PlanError(str(error)) from error

    @property
    def control(self) -> str:
        """Return the control's key."""
        return next(arm.key for arm in self.arms if arm.is_control)

    def draw(self, *, coverage: float) -> Arms:
        """Return the arms' ranges, of which the share `coverage` of all units takes part."""
        return Arms.of({arm.key: arm.weight for arm in self.arms}, coverage=coverage)

    def chosen_metrics(self) -> list[Metric]:
        """Return the metrics in the plan's order. Raise KeyError for one that is gone."""
        return [metric_of(key) for key in self.metrics]


def plan_text(plan: Plan) -> str:
    """Return the plan as canonical JSON: sorted keys, no spaces, so that equal plans are equal."""
    return json.dumps(asdict(plan), sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def read_plan(text: str) -> Plan:
    """Return the plan in the canonical JSON."""
    found = json.loads(text)
    arms = tuple(PlannedArm(**arm) for arm in found.pop("arms"))
    return Plan(arms=arms, metrics=tuple(found.pop("metrics")), **found)


def digest(text: str) -> str:
    """Return the sha256 of a plan's text, as 64 hexadecimal digits."""
    return hashlib.sha256(text.encode()).hexdigest()
