"""The learners whom messages reached: the effect on them, and a comparison from that moment. Pure.

By intention to treat, every learner counts in the arm drawn. These two readings add what can be
said of the learners whom a message reached, or would have reached.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from experiments.metrics.columns import Reached
from experiments.metrics.definitions import Metric
from experiments.metrics.observed import Observed
from experiments.reporting.compared import compared_arms
from experiments.reporting.facts import ArmFacts
from experiments.reporting.small_cells import is_small
from experiments.stats.balance import SampleRatio, sample_ratio
from experiments.stats.comparison import Comparison
from experiments.stats.compliance import complier_effect
from experiments.stats.estimate import Estimate
from experiments.stats.joint import JointMoments
from experiments.stats.sufficient import Counts

KEY = "reached"


@dataclass(frozen=True)
class ArmReach:
    """How many learners of an arm a message reached, and the effect on those it reached.

    The effect is None if the primary outcome is not one number per learner.
    """

    arm: ArmFacts
    reached: Counts
    effect: Estimate | None


@dataclass(frozen=True)
class Reach:
    """Who was reached, and the arms compared from the first message or ghost on.

    `anchored` counts only learners with a message or a ghost, from that instant. A ghost is planned
    as a message is, so the arms are comparable; `balance` tests this by their sizes.
    """

    control_reached: Counts
    arms: list[ArmReach]
    anchored: list[Comparison]
    balance: SampleRatio


def reach_metric(primary: Metric) -> Metric | None:
    """Return the metric that reads who was reached beside the primary outcome, or None."""
    outcome = primary.outcome.beside(Reached())
    if outcome is None:
        return None
    return Metric(KEY, KEY, primary.window, outcome, "of learners were reached", "")


def reach(
    primary: Metric,
    arms: Sequence[ArmFacts],
    *,
    observed: Mapping[str, Mapping[str, Observed]],
    anchored: Mapping[str, Observed],
    level: float,
) -> Reach:
    """Return who was reached, from the outcomes of `reach_metric` and the anchored ones."""
    found = {arm.key: observed.get(arm.key, {}).get(KEY) for arm in arms}
    control = next(arm for arm in arms if arm.is_control)
    nobody = primary.observe({})
    outcomes = {arm.key: anchored.get(arm.key, nobody) for arm in arms}
    numbers = [each.n for each in outcomes.values()]
    return Reach(
        _reached(found[control.key]),
        [
            ArmReach(
                arm,
                _reached(found[arm.key]),
                _effect(found[control.key], found[arm.key], level),
            )
            for arm in arms
            if not arm.is_control
        ],
        compared_arms(primary, arms, outcomes, level=level),
        sample_ratio(numbers, [arm.weight for arm in arms]),
    )


def _effect(control: Observed | None, arm: Observed | None, level: float) -> Estimate | None:
    if control is None or arm is None or is_small(control.n) or is_small(arm.n):
        return None
    own, other = (JointMoments.from_frequencies(each.sums) for each in (control, arm))
    return complier_effect(own, other, level=level)


def _reached(observed: Observed | None) -> Counts:
    return Counts(observed.tally[1], observed.n) if observed else Counts(0, 0)
