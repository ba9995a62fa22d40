"""Read the JSON of a rule; refuse what is not understood, with the path to the fault. Pure."""

import json
import math
import re
from collections.abc import Mapping
from difflib import get_close_matches

from common.json_text import deep_path, json_fault
from segmentation.rules.operators import OPERATORS, Operator, Takes
from segmentation.rules.types import Combinator, Condition, Group, Operand, RuleError, RuleValue
from segmentation.signals import MAX_WINDOW, SIGNALS_BY_NAME, Signal, Window

# Far beyond what anybody can read, far below where Python's or PostgreSQL's stack ends.
MAX_DEPTH = 50
MAX_CONDITIONS = 200
MAX_TEXT = 1000

# The rule builder's own notes: they say nothing about who matches.
_DROPPED = frozenset({"id", "path"})
_GROUP_KEYS = frozenset({"combinator", "not", "rules"})
_CONDITION_KEYS = frozenset({"field", "window", "operator", "value", "valueSource"})
# A part of a column's name, so that exports need no quoting.
_ARGUMENT = re.compile(r"[A-Za-z0-9_]{1,40}")
# How other languages write an operator.
_OTHER_WORDS = {
    "=>": ">=",
    "≥": ">=",
    "=<": "<=",
    "≤": "<=",
    "==": "=",
    "is": "=",
    "<>": "!=",
    "≠": "!=",
    "isNull": "null",
    "isNotNull": "notNull",
}
_MISSING = object()


def parse_text(text: str) -> Group:
    """Return the rule written as JSON text. Raise RuleError with the path to the first fault."""
    try:
        data = json.loads(text, object_pairs_hook=_unique_keys)
    except RecursionError:
        raise RuleError(
            deep_path(text, depth=2 * MAX_DEPTH), f"nested deeper than {MAX_DEPTH} levels"
        ) from None
    except json.JSONDecodeError as error:
        raise RuleError("", f"is not JSON: {json_fault(error)}") from None
    except RuleError:
        raise
    except ValueError:
        # Python reads no number of more than 4,300 digits.
        raise RuleError("", "holds a number too long to be read") from None
    return parse(data)


def parse(data: object) -> Group:
    """Return the rule in JSON data. Raise RuleError with the path to the first fault.

    A lone condition is read as a group of one.
    """
    rule = _read(data, "", 1)
    if isinstance(rule, Condition):
        return Group(Combinator.AND, negated=False, rules=(rule,))
    total = _count(rule)
    if total > MAX_CONDITIONS:
        raise RuleError("", f"has {total} conditions, at most {MAX_CONDITIONS} are allowed")
    return rule


def _unique_keys(pairs: list[tuple[str, object]]) -> dict[str, object]:
    # json keeps the last of two equal keys: half of the rule would be lost in silence.
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = next(key for key, _ in pairs if sum(key == other for other, _ in pairs) > 1)
        raise RuleError("", f"the key '{twice}' stands twice in one object")
    return found


def _count(rule: Condition | Group) -> int:
    return 1 if isinstance(rule, Condition) else sum(_count(part) for part in rule.rules)


def _read(data: object, path: str, depth: int) -> Condition | Group:
    if not isinstance(data, Mapping):
        raise RuleError(path, f"must be a group or a condition, is {_name(data)}")
    if "field" in data:
        return _condition(data, path)
    if depth > MAX_DEPTH:
        raise RuleError(path, f"nested deeper than {MAX_DEPTH} levels")
    return _group(data, path, depth)


def _group(data: Mapping[str, object], path: str, depth: int) -> Group:
    _refuse_unknown_keys(data, path, _GROUP_KEYS | _DROPPED)
    combinator = _require(data, "combinator", path)
    if combinator not in ("and", "or"):
        raise RuleError(_join(path, "combinator"), f"must be 'and' or 'or', is {_show(combinator)}")
    negated = data.get("not", False)
    if not isinstance(negated, bool):
        raise RuleError(_join(path, "not"), f"must be true or false, is {_name(negated)}")
    rules = _require(data, "rules", path)
    where = _join(path, "rules")
    if not isinstance(rules, list):
        raise RuleError(where, f"must be a list, is {_name(rules)}")
    # An empty OR would match nobody and an empty AND everybody: neither was meant.
    if not rules:
        raise RuleError(where, "is empty: a group needs at least one condition")
    parts = (_read(part, f"{where}[{index}]", depth + 1) for index, part in enumerate(rules))
    return Group(Combinator(combinator), negated, tuple(parts))


def _condition(data: Mapping[str, object], path: str) -> Condition:
    signal = _signal(data["field"], _join(path, "field"))
    _refuse_unknown_keys(data, path, _CONDITION_KEYS | _DROPPED | set(signal.args))
    if data.get("valueSource", "value") != "value":
        raise RuleError(_join(path, "valueSource"), "only 'value' is known")
    operator = _operator(_require(data, "operator", path), signal, _join(path, "operator"))
    return Condition(
        field=signal.name,
        window=_window(data.get("window"), signal, _join(path, "window")),
        operator=operator.symbol,
        value=_value(data.get("value", _MISSING), signal, operator, _join(path, "value")),
        args=tuple(_argument(_require(data, key, path), _join(path, key)) for key in signal.args),
    )


def _signal(name: object, path: str) -> Signal:
    signal = SIGNALS_BY_NAME.get(name) if isinstance(name, str) else None
    if signal is None:
        raise RuleError(path, f"{_show(name)} is not a signal{_closest(name, SIGNALS_BY_NAME)}")
    return signal


def _operator(symbol: object, signal: Signal, path: str) -> Operator:
    operator = OPERATORS.get(symbol) if isinstance(symbol, str) else None
    if operator is None:
        raise RuleError(path, f"{_show(symbol)} is not an operator{_closest_operator(symbol)}")
    # A trait may be a text or a number: the value says which the rule is about.
    if not signal.is_trait and not operator.suits(text=False):
        raise RuleError(path, f"'{operator.symbol}' does not compare {signal.name}, a number")
    return operator


def _window(window: object, signal: Signal, path: str) -> int | None:
    if window is None or (window == "all" and signal.window is Window.OPTIONAL):
        if signal.window is Window.REQUIRED:
            raise RuleError(path, f"is missing: {signal.name} needs a number of days")
        return None
    if signal.window is Window.NONE:
        raise RuleError(path, f"{signal.name} takes no window")
    if isinstance(window, bool) or not isinstance(window, int):
        raise RuleError(path, f"must be a whole number of days, is {_show(window)}")
    if not 1 <= window <= MAX_WINDOW:
        raise RuleError(path, f"must be from 1 to {MAX_WINDOW} days, is {_show(window)}")
    return window


def _argument(value: object, path: str) -> str:
    if not isinstance(value, str) or not _ARGUMENT.fullmatch(value):
        raise RuleError(path, f"must be 1 to 40 letters, digits or _, is {_show(value)}")
    return value


def _value(value: object, signal: Signal, operator: Operator, path: str) -> RuleValue:
    if operator.takes is Takes.NOTHING:
        # The rule builder leaves an empty text where an operator takes no value.
        if value is _MISSING or value is None or value == "":
            return None
        raise RuleError(path, f"'{operator.symbol}' takes no value")
    if value is _MISSING:
        raise RuleError(path, "is missing")
    if operator.takes is Takes.ONE:
        return _operand(value, signal, operator, path)
    return _operands(value, signal, operator, path)


def _operands(value: object, signal: Signal, operator: Operator, path: str) -> tuple[Operand, ...]:
    if not isinstance(value, list):
        raise RuleError(path, f"must be a list, is {_name(value)}")
    found = tuple(
        _operand(each, signal, operator, f"{path}[{index}]") for index, each in enumerate(value)
    )
    if operator.takes is Takes.MANY:
        if not found:
            raise RuleError(path, "is an empty list")
        return found
    if len(found) != 2:
        raise RuleError(path, f"must be two numbers, has {len(found)}")
    if float(found[0]) > float(found[1]):
        raise RuleError(path, f"the lower bound {found[0]} is above the upper bound {found[1]}")
    return found


def _operand(value: object, signal: Signal, operator: Operator, path: str) -> Operand:
    if not signal.is_trait or not operator.suits(text=True):
        return _number(value, path)
    may_be_number = operator.suits(text=False) or operator.takes is Takes.MANY
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return _number(value, path) if may_be_number and is_number else _text(value, path)


def _number(value: object, path: str) -> int | float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise RuleError(path, f"must be a number, is {_name(value)}")
    try:
        finite = math.isfinite(float(value))
    except OverflowError:
        finite = False
    if not finite:
        raise RuleError(path, "must be a finite number of ordinary size")
    return value


def _text(value: object, path: str) -> str:
    if not isinstance(value, str):
        raise RuleError(path, f"must be a text, is {_name(value)}")
    if not value or len(value) > MAX_TEXT:
        raise RuleError(path, f"must have 1 to {MAX_TEXT} characters, has {len(value)}")
    # PostgreSQL can store neither, so no trait can hold them.
    if any(character == "\x00" or "\ud800" <= character <= "\udfff" for character in value):
        raise RuleError(path, "has a character that no text can hold")
    return value


def _require(data: Mapping[str, object], key: str, path: str) -> object:
    if key not in data:
        raise RuleError(_join(path, key), "is missing")
    return data[key]


def _refuse_unknown_keys(data: Mapping[str, object], path: str, known: frozenset[str]) -> None:
    for key in data:
        if key not in known:
            raise RuleError(
                _join(path, str(key)), f"is not a key that is known here{_closest(key, known)}"
            )


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def _closest_operator(symbol: object) -> str:
    # By its letters alone, "=>" looks most like "=".
    meant = _OTHER_WORDS.get(symbol) if isinstance(symbol, str) else None
    return f"; did you mean '{meant}'?" if meant else _closest(symbol, OPERATORS)


def _closest(name: object, known: object) -> str:
    """Return a hint at what was perhaps meant, or nothing."""
    close = get_close_matches(str(name), list(known), n=1)  # type: ignore[call-overload]
    return f"; did you mean '{close[0]}'?" if close else ""


def _name(value: object) -> str:
    """Return what kind of JSON value it is, with its article."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, int | float):
        return "a number"
    if isinstance(value, str):
        return "a text"
    return "a list" if isinstance(value, list) else "an object"


def _show(value: object) -> str:
    """Return the value itself where it is short, else what kind it is."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return _name(value)
    text = repr(value) if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= 60 else f"{text[:60]}…"
