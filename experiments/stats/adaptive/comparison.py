"""Comparison of the arms of an adaptive draw, in the shape of `comparison`."""

from collections.abc import Mapping, Sequence
from typing import Any

from experiments.stats.adaptive.rates import (
    Pair,
    PeriodDifference,
    period_difference,
    period_guardrail,
)
from experiments.stats.comparison import RATES, Comparison, Family
from experiments.stats.estimate import UNKNOWN, unknown
from experiments.stats.margins import Guardrail, Margin
from experiments.stats.sufficient import Counts

NOT_BY_PERIOD = "of an adaptive draw, only shares of learners are compared"
_NO_RELATIVE = "a relative difference is not computed for an adaptive draw"

_NOBODY = Counts(0, 0)

# The sums of each arm, by arm key, for each period. An arm may be missing.
ByPeriod = Sequence[Mapping[str, Any]]


def compare_by_period(
    periods: ByPeriod, *, arms: Sequence[str], family: Family, control: str, level: float = 0.95
) -> list[Comparison]:
    """Return the comparison of each other arm with the control, by `period_difference`.

    The levels are those of which the difference is the difference, so the control's level may
    differ from arm to arm.
    """
    return [
        _comparison(
            arm, control, family, difference_by_period(periods, (control, arm), family, level)
        )
        for arm in arms
        if arm != control
    ]


def is_compared(family: Family) -> bool:
    """Return whether an adaptive draw compares this kind of outcome: only rates."""
    return family is RATES


def difference_by_period(
    periods: ByPeriod, pair: tuple[str, str], family: Family, level: float
) -> PeriodDifference:
    """Return the difference of the control and the arm, if the kind of outcome has one."""
    if not is_compared(family):
        return PeriodDifference(unknown(UNKNOWN, level=level, reason=NOT_BY_PERIOD))
    return period_difference(_pairs(periods, pair), level=level)


def guard_by_period(
    periods: ByPeriod, pair: tuple[str, str], margin: Margin, *, family: Family, level: float
) -> Guardrail:
    """Return the guardrail of the control and the arm."""
    found = difference_by_period(periods, pair, family, level)
    return period_guardrail(found, _pairs(periods, pair), margin)


def _pairs(periods: ByPeriod, pair: tuple[str, str]) -> list[Pair]:
    control, arm = pair
    return [Pair(found.get(control, _NOBODY), found.get(arm, _NOBODY)) for found in periods]


def _comparison(arm: str, control: str, family: Family, found: PeriodDifference) -> Comparison:
    level = found.difference.level
    return Comparison(
        arm,
        control,
        family.unit,
        found.arm_level,
        found.control_level,
        found.difference,
        unknown(UNKNOWN, level=level, reason=_NO_RELATIVE),
    )
