"""Decide a rule in plain Python over one learner's signals, with Kleene's three values. Pure."""

from collections.abc import Iterable, Mapping
from typing import Any, cast

from segmentation.rules.members import numbers_of, text_of, texts_of
from segmentation.rules.operators import OPERATORS
from segmentation.rules.types import Combinator, Condition, Group
from segmentation.signals import SignalValue


def evaluate(rule: Condition | Group, signals: Mapping[str, SignalValue]) -> bool | None:
    """Return whether the rule holds, None where that is unknown.

    `signals` maps identities to values, None where unknown.
    Raise KeyError where a signal that the rule asks for is missing: absent is not unknown.
    """
    if isinstance(rule, Condition):
        return _decide(rule, signals[rule.ref.identity])
    # All parts are decided before they are joined: a missing signal must show even where
    # another part decides the answer.
    parts = [evaluate(part, signals) for part in rule.rules]
    joined = _all(parts) if rule.combinator is Combinator.AND else _any(parts)
    return _not(joined) if rule.negated else joined


def _decide(condition: Condition, value: SignalValue) -> bool | None:
    """Compare one signal's value. Numbers compare as floats, as the compiled SQL does."""
    entry = condition.comparison
    if entry.sees_unknown:
        return entry.python(value)
    if value is None:
        return None
    if condition.signal.is_trait:
        return _decide_members(condition, value)
    # Only a trait is anything but a number.
    return entry.python(float(cast("float", value)), *map(float, condition.operands))


def _decide_members(condition: Condition, value: SignalValue) -> bool | None:
    """Return whether a member meets the condition, None where none can be compared with it."""
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
    """Return Kleene's conjunction: one false decides it, else one unknown leaves it open."""
    seen = set(values)
    return False if False in seen else None if None in seen else True


def _any(values: Iterable[bool | None]) -> bool | None:
    """Return Kleene's disjunction: one true decides it, else one unknown leaves it open."""
    return _not(_all(_not(value) for value in values))
