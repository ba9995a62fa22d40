"""Put one learner's signals in plain English, as they were read: column and value. Pure."""

import json
from typing import Any

from segmentation.rules.explain import count_unit, in_days, in_window
from segmentation.signals import (
    SIGNALS_BY_NAME,
    Signal,
    SignalKind,
    SignalRef,
    SignalValue,
    Window,
)


def describe(column: str, value: SignalValue) -> str:
    """Return what the signal says, with a capital letter: "Active on 3 of the last 7 days".

    A column that is no longer known is shown with its value: what was read stays readable.
    """
    ref = find_ref(column)
    if ref is None:
        return f"{column}: {value}"
    text = _unknown(ref) if value is None else _known(ref, value)
    return text[:1].upper() + text[1:]


def find_ref(column: str) -> SignalRef | None:
    """Return the signal with window and arguments that a column is named after, None for none."""
    # The longest first: quiz_attempts_change_7 is not quiz_attempts over the window "change_7".
    for name in sorted(SIGNALS_BY_NAME, key=len, reverse=True):
        signal = SIGNALS_BY_NAME[name]
        if column == name and not signal.args and signal.window is Window.NONE:
            return SignalRef(signal)
        if column.startswith(f"{name}_"):
            return _with_rest(signal, column.removeprefix(f"{name}_"))
    return None


def _with_rest(signal: Signal, rest: str) -> SignalRef | None:
    if signal.args:
        return SignalRef(signal, None, (rest,))
    if rest == "all" and signal.window is Window.OPTIONAL:
        return SignalRef(signal)
    is_window = rest.isdecimal() and signal.window is not Window.NONE
    return SignalRef(signal, int(rest)) if is_window else None


def _unknown(ref: SignalRef) -> str:
    window = f" {in_window(ref.window)}" if ref.signal.window is not Window.NONE else ""
    return f"the {' '.join((ref.signal.label, *ref.args))}{window} is unknown"


def _known(ref: SignalRef, value: Any) -> str:
    return ref.signal.sentence.format(
        amount=_amount(ref.signal, value),
        when=in_window(ref.window),
        days=in_days(ref.window),
        arg=" ".join(ref.args),
    )


def _amount(signal: Signal, value: Any) -> str:
    if signal.is_trait:
        members = value if isinstance(value, list) else [value]
        return f"is {', '.join(map(_member, members))}"
    if signal.kind is SignalKind.RATE:
        return f"{_round(value * 100)}%"
    if signal.kind is SignalKind.DAYS and value < 1:
        return "less than 1 day"
    rounded = _round(value)
    return f"{rounded}{count_unit(signal, 1 if rounded == '1' else value)}"


def _member(value: object) -> str:
    """Return one member of a trait as it is stored; a text in quotes."""
    return f"'{value}'" if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _round(number: int | float) -> str:
    """Return the number with one decimal at most: more would say nothing to a reader."""
    return f"{number:,.1f}".removesuffix(".0")
