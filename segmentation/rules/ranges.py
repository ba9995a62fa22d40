"""Refuse values that a signal cannot have in new rules. Pure.

This is not a part of `parse`, because a stored rule with such a value must stay readable.
"""

from collections.abc import Iterator

from segmentation.rules.types import Condition, Group, Operand, RuleError
from segmentation.signals import SignalKind

_OF_ANY_SIGN = (SignalKind.CHANGE, SignalKind.AMOUNT, SignalKind.TRAIT)


def check_ranges(rule: Group) -> Group:
    """Return the rule. Raise RuleError, with the path, for a value that its signal cannot have."""
    for path, condition in with_paths(rule):
        for place, operand in _places(condition, f"{path}.value"):
            fault = _fault(condition, operand)
            if fault:
                raise RuleError(place, fault)
    return rule


def with_paths(group: Group, path: str = "") -> Iterator[tuple[str, Condition]]:
    """Yield every condition of the rule with the path to it, from left to right."""
    for index, part in enumerate(group.rules):
        where = f"{path}.rules[{index}]".lstrip(".")
        if isinstance(part, Condition):
            yield where, part
        else:
            yield from with_paths(part, where)


def _places(condition: Condition, path: str) -> Iterator[tuple[str, Operand]]:
    """Yield each value with the path to it."""
    if not isinstance(condition.value, tuple):
        yield from ((path, operand) for operand in condition.operands)
        return
    for index, operand in enumerate(condition.value):
        yield f"{path}[{index}]", operand


def _fault(condition: Condition, operand: Operand) -> str | None:
    signal = condition.signal
    if isinstance(operand, str) or signal.kind in _OF_ANY_SIGN:
        return None
    if signal.kind is SignalKind.RATE:
        return None if 0 <= operand <= 1 else _no_rate(operand)
    if signal.kind is SignalKind.SCORE:
        return None if 1 <= operand <= 5 else f"must be a score from 1 to 5, is {operand}"
    if signal.within_window and condition.ref.window is not None and operand > condition.ref.window:
        return f"must be from 0 to {condition.ref.window}, the days of the window, is {operand}"
    return f"cannot be below 0, is {operand}" if operand < 0 else None


def _no_rate(operand: int | float) -> str:
    percent = operand if 1 < operand <= 100 else 60
    return f"must be a rate between 0 and 1, is {operand}; {percent / 100:g} is {percent:g}%"
