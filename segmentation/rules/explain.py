"""Explain a rule in plain English, for readers who did not write it. Pure."""

from decimal import Decimal

from segmentation.rules.operators import Takes
from segmentation.rules.types import Condition, Group, Operand
from segmentation.signals import Signal, SignalKind, Window


def explain(rule: Condition | Group) -> str:
    """Return the rule as one English clause with a capital letter and without a full stop."""
    text = _explain(rule)
    return text[:1].upper() + text[1:]


def _explain(rule: Condition | Group) -> str:
    if isinstance(rule, Condition):
        return _condition(rule)
    joined = f" {rule.combinator.value} ".join(_part(part, rule) for part in rule.rules)
    return f"not ({joined})" if rule.negated else joined


def _part(part: Condition | Group, parent: Group) -> str:
    """Return one part, in brackets where it would be ambiguous without them."""
    text = _explain(part)
    bare = (
        isinstance(part, Condition)
        or part.negated
        or len(part.rules) == 1
        or len(parent.rules) == 1
        or part.combinator is parent.combinator
    )
    return text if bare else f"({text})"


def _condition(condition: Condition) -> str:
    signal = condition.signal
    words = {
        "when": in_window(condition.ref.window),
        "days": in_days(condition.ref.window),
        "arg": condition.ref.words,
    }
    if condition.comparison.takes is Takes.NOTHING:
        label = f"{signal.label} {condition.ref.words}".rstrip()
        window = f" {words['when']}" if signal.window is not Window.NONE else ""
        return f"the {label}{window} {_english(condition)}"
    return signal.sentence.format(amount=_amount(condition), **words)


def _english(condition: Condition) -> str:
    """Return the operator's English for the signal's kind."""
    entry = condition.comparison
    return (entry.english_text if condition.is_text else entry.english) or entry.symbol


def in_window(window: int | None) -> str:
    """Return the window in words: "so far", "today", "in the last 7 days"."""
    if window is None:
        return "so far"
    # A window of one day is the local date itself from midnight on, not 24 hours.
    return "today" if window == 1 else f"in the last {window} days"


def in_days(window: int | None) -> str:
    """Return the window as a number of days."""
    return "1 day" if window == 1 else f"{window} days"


def _amount(condition: Condition) -> str:
    """Return "at least 3 modules", "less than 60%", "one of 'Wales', 'Scotland'"."""
    signal, entry = condition.signal, condition.comparison
    texts = [_operand(operand, signal) for operand in condition.operands]
    if entry.takes is Takes.MANY:
        texts = [", ".join(texts)]
    english = _english(condition).format(*texts)
    if signal.is_trait:
        return english if condition.is_text else f"is {english}"
    if signal.kind is SignalKind.COUNT:
        english = english.replace("less than", "fewer than", 1)
    return f"{english}{count_unit(signal, condition.operands[-1])}"


def _operand(operand: Operand, signal: Signal) -> str:
    if isinstance(operand, str):
        return f"'{operand}'"
    exact = Decimal(repr(operand))
    if signal.kind is SignalKind.RATE:
        return f"{_plain(exact * 100)}%"
    return _plain(exact)


def _plain(number: Decimal) -> str:
    """Return the number without exponent and trailing zeros if that is short."""
    short = number.normalize()
    return f"{short:f}" if -12 < short.adjusted() < 16 else f"{short}"


def count_unit(signal: Signal, number: Operand) -> str:
    """Return the unit of the signal after a space, or an empty text."""
    unit = ("day", "days") if signal.kind is SignalKind.DAYS else signal.unit
    if unit is None:
        return ""
    return f" {unit[0] if number == 1 else unit[1]}"
