"""Read the signal that a condition or an identity names, with its window and arguments. Pure."""

import json
from collections.abc import Mapping

from segmentation.rules.faults import closest, join, read_text, require, show
from segmentation.rules.types import RuleError
from segmentation.signals import MAX_WINDOW, SIGNALS_BY_NAME, Argument, Signal, SignalRef, Window


def read_ref(data: Mapping[str, object], path: str) -> SignalRef:
    """Return the signal that the object names. Raise RuleError with the path to the fault."""
    signal = _signal(data["field"], join(path, "field"))
    return SignalRef(
        signal=signal,
        window=_window(data.get("window"), signal, join(path, "window")),
        args=tuple(_argument(data, each, path) for each in signal.args),
    )


def find_ref(identity: str) -> SignalRef | None:
    """Return the signal with this identity, or None if it is no longer known."""
    try:
        ref = read_ref(json.loads(identity), "")
    except (KeyError, TypeError, ValueError):
        return None
    return ref if ref.identity == identity else None


def _signal(name: object, path: str) -> Signal:
    signal = SIGNALS_BY_NAME.get(name) if isinstance(name, str) else None
    if signal is None:
        raise RuleError(path, f"{show(name)} is not a signal{closest(name, SIGNALS_BY_NAME)}")
    return signal


def _argument(data: Mapping[str, object], argument: Argument, path: str) -> str:
    """Return the text of the argument, or an empty text for a filter that is not used."""
    where = join(path, argument.key)
    # The rule builder writes an empty text for a filter that is not used.
    if not argument.required and data.get(argument.key) in (None, ""):
        if argument.together and data.get(argument.together) not in (None, ""):
            raise RuleError(where, f"is missing: '{argument.together}' needs it")
        return ""
    text = read_text(require(data, argument.key, path), where)
    levels = text.split(".") if argument.levels else []
    if argument.levels and len(levels) > argument.levels:
        raise RuleError(where, f"has {len(levels)} levels, at most {argument.levels} are allowed")
    if argument.levels and not all(levels):
        raise RuleError(where, "has an empty name between its dots")
    return text


def _window(window: object, signal: Signal, path: str) -> int | None:
    if window is None or (window == "all" and signal.window is Window.OPTIONAL):
        if signal.window is Window.REQUIRED:
            raise RuleError(path, f"is missing: {signal.name} needs a number of days")
        return None
    if signal.window is Window.NONE:
        raise RuleError(path, f"{signal.name} takes no window")
    if isinstance(window, bool) or not isinstance(window, int):
        raise RuleError(path, f"must be a whole number of days, is {show(window)}")
    if not 1 <= window <= MAX_WINDOW:
        raise RuleError(path, f"must be from 1 to {MAX_WINDOW} days, is {show(window)}")
    return window
