"""Describe the signals and their operators, from which the rule builder makes its choices. Pure."""

from typing import Any

from segmentation.rules.operators import OPERATORS, Operator, Takes
from segmentation.signals import GROUPS, Argument, Signal, SignalKind, Window

# The usual first condition of each kind of signal: operator and value.
_USUAL: dict[SignalKind, tuple[str, Any]] = {
    SignalKind.COUNT: (">=", 1),
    SignalKind.CHANGE: ("<", 0),
    SignalKind.RATE: ("<", 0.5),
    SignalKind.DAYS: (">=", 7),
    SignalKind.NUMBER: (">=", 1),
    SignalKind.AMOUNT: (">=", 1),
    SignalKind.SCORE: (">=", 4),
    SignalKind.TRAIT: ("=", ""),
}
_USUAL_WINDOW = 7


def offered_signals() -> list[dict[str, Any]]:
    """Return the groups of signals as JSON data: name, texts, window, arguments, operators."""
    return [
        {"label": label, "options": [_signal(signal) for signal in signals]}
        for label, signals in GROUPS.items()
    ]


def _signal(signal: Signal) -> dict[str, Any]:
    operator, value = _USUAL[signal.kind]
    window = _USUAL_WINDOW if signal.window is Window.REQUIRED else None
    return {
        "name": signal.name,
        "label": signal.label,
        "help": signal.help,
        "kind": signal.kind.value,
        "window": signal.window.value,
        "args": [_argument(each) for each in signal.args],
        "unit": _unit(signal),
        "operators": [
            _operator(each, signal) for each in OPERATORS.values() if _fits(each, signal)
        ],
        "defaults": {"operator": operator, "value": value, "window": window},
    }


def _argument(argument: Argument) -> dict[str, Any]:
    return {
        "name": argument.key,
        "label": argument.label,
        "offers": argument.offers,
        "required": argument.required,
    }


def _unit(signal: Signal) -> str:
    if signal.kind is SignalKind.RATE:
        return "%"
    if signal.kind is SignalKind.DAYS:
        return "days"
    return signal.unit[1] if signal.unit else ""


def _fits(operator: Operator, signal: Signal) -> bool:
    return signal.is_trait or operator.suits(text=False)


def _operator(operator: Operator, signal: Signal) -> dict[str, Any]:
    words = operator.english_text if signal.is_trait else None
    label = (words or operator.english or operator.symbol).split("{")[0].strip()
    if signal.kind is SignalKind.COUNT:
        label = label.replace("less than", "fewer than", 1)
    return {
        "name": operator.symbol,
        "label": label,
        "takes": operator.takes.value,
        # A trait may be a text or a number. These operators compare only numbers.
        "numbersOnly": operator.takes is not Takes.NOTHING and not operator.suits(text=True),
    }
