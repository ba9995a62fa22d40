"""Find the conditions that make a rule true, false or unknown. Pure."""

from collections.abc import Mapping

from segmentation.rules.evaluate import evaluate
from segmentation.rules.types import Condition, Group
from segmentation.signals import SignalValue


def deciding(rule: Condition | Group, signals: Mapping[str, SignalValue]) -> list[Condition]:
    """Return the conditions that decide the result of the rule, from left to right.

    In a group, these are the conditions in parts with the same result as the whole group: all parts
    of a true `and`, the false parts of a false `and`. Raise KeyError if a signal is missing.
    """
    if isinstance(rule, Condition):
        return [rule]
    whole = evaluate(rule, signals)
    joined = not whole if rule.negated and whole is not None else whole
    parts = [part for part in rule.rules if evaluate(part, signals) is joined]
    return [condition for part in parts for condition in deciding(part, signals)]
