"""Random rules over every signal, for the proof: nested, negated, with unknown values. Pure."""

from collections.abc import Sequence
from random import Random
from typing import Any

from segmentation.rules.operators import OPERATORS, Operator, Takes
from segmentation.rules.refs import read_ref
from segmentation.signals import SIGNALS, Signal, SignalKind, SignalRef, Window

_DEEPEST = 2
_WINDOWS = (1, 2, 3, 7, 14, 30)
# Near what a simulated course has, so that conditions are true for some and false for others.
_VALUES: dict[SignalKind, tuple[float, ...]] = {
    SignalKind.COUNT: (0, 1, 1, 2, 3, 4, 6, 10),
    SignalKind.CHANGE: (-3, -1, 0, 0, 1, 3),
    SignalKind.RATE: (0, 0.25, 1 / 3, 0.5, 0.6, 0.85, 1),
    SignalKind.DAYS: (0, 0.5, 1, 1.25, 2, 3, 7),
    SignalKind.NUMBER: (0, 0.5, 1, 1.5, 2.5, 4),
    SignalKind.SCORE: (1, 2, 3, 4, 5),
    SignalKind.AMOUNT: (-2.5, 0, 0, 9.99, 20),
}
_KEYS = ("region", "plan", "age")
_VERBS = ("ATTEMPT_QUIZ", "COMPLETE_MODULE", "VIEW_ITEM", "PURCHASE", "EMAIL_SENT", "LOGIN")
_ARGUMENTS = {
    "key": _KEYS,
    "verb": _VERBS,
    "without": _VERBS,
    "item": ("module-1", "quiz-1", "video-2"),
    "kind": ("quiz", "video"),
    "topic": ("Reading data", "Chance"),
    "property": ("plan", "cart.size"),
    "equals": ("gift", "2"),
}
_TRAITS: tuple[Any, ...] = ("a", "b", "premium", 1, 30)


def random_traits(chance: Random) -> dict[str, Any]:
    """Return traits of a learner for some of the names that rules ask for: values and lists."""
    known = [key for key in _KEYS if chance.random() < 0.6]
    several = chance.choices(_TRAITS, k=2)
    return {key: chance.choice((chance.choice(_TRAITS), several, [])) for key in known}


def random_rule(chance: Random, *, depth: int = 0) -> dict[str, Any]:
    """Return a random rule as JSON data: a group of one to three conditions or groups."""
    return {
        "combinator": chance.choice(("and", "or")),
        "not": chance.random() < 0.25,
        "rules": [
            random_rule(chance, depth=depth + 1)
            if depth < _DEEPEST and chance.random() < 0.3
            else _condition(chance.choice(SIGNALS), chance)
            for _ in range(chance.choice((1, 2, 2, 3)))
        ],
    }


def random_refs(chance: Random) -> list[SignalRef]:
    """Return every signal once, with a random window and random arguments."""
    return [read_ref(_condition(signal, chance), "") for signal in SIGNALS]


def _condition(signal: Signal, chance: Random) -> dict[str, Any]:
    suitable = [each for each in OPERATORS.values() if each.suits(text=signal.is_trait)]
    operator = chance.choice(suitable)
    condition: dict[str, Any] = {"field": signal.name, "operator": operator.symbol}
    condition |= _arguments(signal, chance)
    window = _window(signal, chance)
    if window is not None:
        condition["window"] = window
    if operator.takes is not Takes.NOTHING:
        most = window if signal.within_window else None
        condition["value"] = _value(_values(signal, most), operator, chance)
    return condition


def _arguments(signal: Signal, chance: Random) -> dict[str, str]:
    found = {
        each.key: chance.choice(_ARGUMENTS[each.key])
        for each in signal.args
        if each.required or chance.random() < 0.2
    }
    alone = [each.key for each in signal.args if each.together and each.together not in found]
    return {key: text for key, text in found.items() if key not in alone}


def _window(signal: Signal, chance: Random) -> int | None:
    if signal.window is Window.NONE or (signal.window is Window.OPTIONAL and chance.random() < 0.3):
        return None
    return chance.choice(_WINDOWS)


def _values(signal: Signal, most: int | None) -> Sequence[Any]:
    if signal.is_trait:
        return _TRAITS
    values = _VALUES[signal.kind]
    return values if most is None else [each for each in values if each <= most]


def _value(values: Sequence[Any], operator: Operator, chance: Random) -> Any:
    if operator.symbol == "contains":
        return chance.choice([each for each in values if isinstance(each, str)])
    if operator.takes is Takes.ONE:
        return chance.choice(values)
    if operator.takes is Takes.TWO:
        return sorted(chance.choices(values, k=2))
    return chance.choices(values, k=2)
