"""Say of each condition of a rule whether it is true for one learner's signals, in words. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

from segmentation.rules.deciding import deciding
from segmentation.rules.describe import describe
from segmentation.rules.evaluate import evaluate
from segmentation.rules.explain import explain
from segmentation.rules.types import Condition, Group, conditions
from segmentation.signals import SignalValue


@dataclass(frozen=True)
class Verdict:
    """A condition and its signal's value in words, and whether it is true (None: unknown).

    `decides` says whether the whole rule has its result because of this condition.
    """

    condition: str
    value: str
    holds: bool | None
    decides: bool


def verdicts(rule: Group, signals: Mapping[str, SignalValue]) -> list[Verdict]:
    """Return a verdict for each condition, the deciding ones first.

    Signals that were not read have no verdict. If one is missing, no condition decides.
    """
    known = [each for each in conditions(rule) if each.ref.identity in signals]
    is_whole = len(known) == len(list(conditions(rule)))
    first = deciding(rule, signals) if is_whole else []
    return [
        _verdict(each, signals, decides=each in first) for each in dict.fromkeys([*first, *known])
    ]


def _verdict(condition: Condition, signals: Mapping[str, SignalValue], *, decides: bool) -> Verdict:
    identity = condition.ref.identity
    value = describe(identity, signals[identity])
    return Verdict(explain(condition), value, evaluate(condition, signals), decides)
