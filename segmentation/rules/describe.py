"""Describe one learner's signals, given by identity and value, in plain English. Pure."""

import json
from math import floor
from typing import Any

from segmentation.rules.explain import count_unit, in_days, in_window
from segmentation.rules.refs import find_ref
from segmentation.signals import Signal, SignalKind, SignalRef, SignalValue, Window


def describe(identity: str, value: SignalValue) -> str:
    """Return the signal in words, with a capital letter: "Active on 3 of the last 7 days".

    An unknown value is explained: "…is unknown: no quiz attempt in the last 14 days has a score". A
    signal that is no longer known is shown by its identity and value.
    """
    ref = find_ref(identity)
    if ref is None:
        return f"{identity}: {value}"
    text = _unknown(ref) if value is None else _known(ref, value)
    return text[:1].upper() + text[1:]


def heading(ref: SignalRef) -> str:
    """Return the name of the signal for a column: "Content views in the last 14 days"."""
    window = f" {in_window(ref.window)}" if ref.signal.window is not Window.NONE else ""
    text = f"{ref.signal.label} {ref.words}".rstrip() + window
    return text[:1].upper() + text[1:]


def figure(ref: SignalRef, value: SignalValue) -> str:
    """Return the value for such a column: "9", "30%", "3.5 days", "unknown"."""
    if value is None:
        return "unknown"
    if ref.signal.kind in (SignalKind.COUNT, SignalKind.CHANGE) and isinstance(value, int | float):
        return _round(value)
    return _amount(ref.signal, value).removeprefix("is ")


def _unknown(ref: SignalRef) -> str:
    when, arg = in_window(ref.window), ref.words
    window = f" {when}" if ref.signal.window is not Window.NONE else ""
    label = f"{ref.signal.label} {ref.words}".rstrip()
    unknown = f"the {label}{window} is unknown"
    # Stored values may be of an earlier release, in which the signal could be unknown.
    why = ref.signal.unknown.format(when=when, arg=arg)
    return f"{unknown}: {why}" if why else unknown


def _known(ref: SignalRef, value: Any) -> str:
    return ref.signal.sentence.format(
        amount=_amount(ref.signal, value),
        when=in_window(ref.window),
        days=in_days(ref.window),
        arg=ref.words,
    )


def _amount(signal: Signal, value: Any) -> str:
    if signal.is_trait:
        members = value if isinstance(value, list) else [value]
        return f"is {', '.join(map(_member, members))}"
    if signal.kind is SignalKind.RATE:
        return f"{_round(value * 100)}%"
    if signal.kind is SignalKind.DAYS and value < 1:
        return "less than 1 day"
    # Days are rounded down: "7 days ago" would contradict "at least 7 days ago" is not true.
    rounded = _round(floor(value * 10) / 10 if signal.kind is SignalKind.DAYS else value)
    return f"{rounded}{count_unit(signal, 1 if rounded == '1' else value)}"


def _member(value: object) -> str:
    """Return one member of a trait as it is stored, a text in quotes."""
    return f"'{value}'" if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _round(number: int | float) -> str:
    """Return the number with at most one decimal, because readers do not need more."""
    return f"{number:,.1f}".removesuffix(".0")
