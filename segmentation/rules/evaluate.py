"""Decide a rule in plain Python over one learner's signals, with Kleene's three values. Pure."""

from collections.abc import Iterable, Mapping

from segmentation.rules.types import Combinator, Condition, Group
from segmentation.signals import SignalValue


def evaluate(rule: Condition | Group, signals: Mapping[str, SignalValue]) -> bool | None:
    """Return whether the rule holds, None where that is unknown.

    `signals` maps columns (active_days_7, quiz_pass_rate_all) to values, None where unknown.
    Raise KeyError where a signal that the rule asks for is missing: absent is not unknown.
    """
    if isinstance(rule, Condition):
        return _decide(rule, signals[rule.ref.column])
    # All parts are decided before they are joined: a missing signal must show even where
    # another part settles the answer.
    parts = [evaluate(part, signals) for part in rule.rules]
    joined = _all(parts) if rule.combinator is Combinator.AND else _any(parts)
    return _not(joined) if rule.negated else joined


def _decide(condition: Condition, value: SignalValue) -> bool | None:
    """Compare one signal's value. Numbers compare as floats, as the compiled SQL does."""
    decide = condition.comparison.python
    if value is None:
        return decide(None) if condition.comparison.sees_unknown else None
    if condition.signal.is_text:
        return decide(value, *condition.operands)
    return decide(float(value), *map(float, condition.operands))


def _not(value: bool | None) -> bool | None:
    return None if value is None else not value


def _all(values: Iterable[bool | None]) -> bool | None:
    """Return Kleene's conjunction: one false settles it, else one unknown leaves it open."""
    seen = set(values)
    return False if False in seen else None if None in seen else True


def _any(values: Iterable[bool | None]) -> bool | None:
    """Return Kleene's disjunction: one true settles it, else one unknown leaves it open."""
    return _not(_all(_not(value) for value in values))
