"""Which of a rule's conditions make it true, false or unknown. Pure."""

from collections.abc import Mapping

from segmentation.rules.evaluate import evaluate
from segmentation.rules.types import Condition, Group
from segmentation.signals import SignalValue


def deciding(rule: Condition | Group, signals: Mapping[str, SignalValue]) -> list[Condition]:
    """Return the conditions by which the rule is what it is, from left to right.

    Of a group those of its parts that are what the parts together are: all that hold of a true
    `and`, those that fail of a false one. Raise KeyError where a signal is missing.
    """
    if isinstance(rule, Condition):
        return [rule]
    whole = evaluate(rule, signals)
    joined = not whole if rule.negated and whole is not None else whole
    parts = [part for part in rule.rules if evaluate(part, signals) is joined]
    return [condition for part in parts for condition in deciding(part, signals)]
