"""An arm against the control, whatever the kind of outcome: one path for pages and commands."""

from collections.abc import Mapping
from dataclasses import dataclass

from experiments.stats.estimate import Estimate
from experiments.stats.means import mean_difference, relative_mean
from experiments.stats.rates import rate_difference, relative_rate
from experiments.stats.sufficient import Counts, Moments

Outcomes = Counts | Moments


@dataclass(frozen=True)
class Comparison:
    """What an arm's outcomes are beside the control's."""

    arm: str
    control: str
    arm_outcomes: Outcomes
    control_outcomes: Outcomes
    difference: Estimate
    relative: Estimate

    @property
    def is_rate(self) -> bool:
        """Return whether shares are compared, and not means."""
        return isinstance(self.arm_outcomes, Counts)


def compare_arms(
    outcomes: Mapping[str, Outcomes], *, control: str, level: float = 0.95
) -> list[Comparison]:
    """Return each other arm against the control, in the mapping's order.

    Raise KeyError for an unknown control, TypeError where the arms' outcomes are of two kinds.
    """
    against = outcomes[control]
    return [
        Comparison(arm, control, found, against, *compare(against, found, level=level))
        for arm, found in outcomes.items()
        if arm != control
    ]


def compare(
    control: Outcomes, treatment: Outcomes, *, level: float = 0.95
) -> tuple[Estimate, Estimate]:
    """Return treatment minus control and treatment relative to control."""
    if isinstance(control, Counts) and isinstance(treatment, Counts):
        return (
            rate_difference(control, treatment, level=level),
            relative_rate(control, treatment, level=level),
        )
    if isinstance(control, Moments) and isinstance(treatment, Moments):
        difference = mean_difference(control, treatment, level=level)
        return difference, relative_mean(control, treatment, difference)
    raise TypeError("A rate and a mean cannot be compared.")


def average(outcomes: Outcomes) -> float:
    """Return the rate or the mean; nan for an arm that nobody entered."""
    return outcomes.rate if isinstance(outcomes, Counts) else outcomes.average
