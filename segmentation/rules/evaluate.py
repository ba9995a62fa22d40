"""Evaluate a rule in plain Python for one learner's signals, in three-valued logic. Pure."""

from collections.abc import Iterable, Mapping
from typing import Any, cast

from segmentation.rules.members import numbers_of, text_of, texts_of
from segmentation.rules.operators import OPERATORS
from segmentation.rules.types import Combinator, Condition, Group
from segmentation.signals import SignalValue


def evaluate(rule: Condition | Group, signals: Mapping[str, SignalValue]) -> bool | None:
    """Return whether the rule is true, or None if that is unknown.

    `signals` maps identities to values. None means unknown. Raise KeyError if a signal of the rule
    is missing, because missing is not unknown.
    """
    if isinstance(rule, Condition):
        return _decide(rule, signals[rule.ref.identity])
    # All parts are evaluated before they are joined. A missing signal must raise even if another
    # part decides the result.
    parts = [evaluate(part, signals) for part in rule.rules]
    joined = _all(parts) if rule.combinator is Combinator.AND else _any(parts)
    return _not(joined) if rule.negated else joined


def _decide(condition: Condition, value: SignalValue) -> bool | None:
    """Compare one signal's value. Numbers are compared as floats, as in the compiled SQL."""
    entry = condition.comparison
    if entry.sees_unknown:
        return entry.python(value)
    if value is None:
        return None
    if condition.signal.is_trait:
        return _decide_members(condition, value)
    # Every other signal is a number.
    return entry.python(float(cast("float", value)), *map(float, condition.operands))


def _decide_members(condition: Condition, value: SignalValue) -> bool | None:
    """Return whether a member meets the condition, or None if no member has its type."""
    members: list[Any]
    operands: list[Any]
    if condition.is_text:
        members, operands = texts_of(value), [text_of(each) for each in condition.operands]
    else:
        members, operands = numbers_of(value), [float(each) for each in condition.operands]
    if not members:
        return None
    denied = condition.comparison.denies
    entry = OPERATORS[denied] if denied else condition.comparison
    return any(entry.python(member, *operands) for member in members) is (denied is None)


def _not(value: bool | None) -> bool | None:
    return None if value is None else not value


def _all(values: Iterable[bool | None]) -> bool | None:
    """Return Kleene's conjunction: false if any is false, else unknown if any is unknown."""
    seen = set(values)
    return False if False in seen else None if None in seen else True


def _any(values: Iterable[bool | None]) -> bool | None:
    """Return Kleene's disjunction: true if any is true, else unknown if any is unknown."""
    return _not(_all(_not(value) for value in values))
