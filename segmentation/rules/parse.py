"""Parse the JSON of a rule. A fault is refused with the path to it. Pure."""

import json
import math
from collections import Counter
from collections.abc import Mapping

from common.json_text import deep_path, json_fault, kind_of
from segmentation.rules.faults import (
    closest,
    join,
    read_text,
    refuse_unknown_keys,
    require,
    show,
)
from segmentation.rules.operators import OPERATORS, Operator, Takes
from segmentation.rules.refs import read_ref
from segmentation.rules.types import Combinator, Condition, Group, Operand, RuleError, RuleValue
from segmentation.signals import Signal

# Far more than people can read, and far less than the stacks of Python and PostgreSQL allow.
MAX_DEPTH = 50
MAX_CONDITIONS = 200

# Keys that the rule builder adds. They have no effect on the matches.
_DROPPED = frozenset({"id", "path"})
_GROUP_KEYS = frozenset({"combinator", "not", "rules"})
_CONDITION_KEYS = frozenset({"field", "window", "operator", "value", "valueSource"})
# Spellings of operators in other languages.
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
    return parse(read_json(text))


def read_json(text: str) -> object:
    """Return the data of a rule's JSON text. Raise RuleError if the text cannot be read."""
    try:
        data: object = json.loads(text, object_pairs_hook=_unique_keys)
    except RecursionError:
        raise RuleError(
            deep_path(text, depth=2 * MAX_DEPTH), f"nested deeper than {MAX_DEPTH} levels"
        ) from None
    except json.JSONDecodeError as error:
        raise RuleError("", f"is not JSON: {json_fault(error)}") from None
    except RuleError:
        raise
    except ValueError:
        # Python does not read numbers of more than 4,300 digits.
        raise RuleError("", "contains a number that is too long to be read") from None
    return data


def parse(data: object) -> Group:
    """Return the rule in JSON data. Raise RuleError with the path to the first fault.

    A single condition is read as a group of one.
    """
    rule = _read(data, "", 1)
    if isinstance(rule, Condition):
        return Group(Combinator.AND, negated=False, rules=(rule,))
    total = _count(rule)
    if total > MAX_CONDITIONS:
        raise RuleError("", f"has {total} conditions, at most {MAX_CONDITIONS} are allowed")
    return rule


def _unique_keys(pairs: list[tuple[str, object]]) -> dict[str, object]:
    # json keeps the last of two equal keys, so a part of the rule would be lost without an error.
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = next(key for key, number in Counter(key for key, _ in pairs).items() if number > 1)
        raise RuleError("", f"the key '{twice}' occurs twice in one object")
    return found


def _count(rule: Condition | Group) -> int:
    return 1 if isinstance(rule, Condition) else sum(_count(part) for part in rule.rules)


def _read(data: object, path: str, depth: int) -> Condition | Group:
    if not isinstance(data, Mapping):
        raise RuleError(path, f"must be a group or a condition, is {kind_of(data)}")
    if "field" in data:
        return _condition(data, path)
    if depth > MAX_DEPTH:
        raise RuleError(path, f"nested deeper than {MAX_DEPTH} levels")
    return _group(data, path, depth)


def _group(data: Mapping[str, object], path: str, depth: int) -> Group:
    refuse_unknown_keys(data, path, _GROUP_KEYS | _DROPPED)
    combinator = require(data, "combinator", path)
    if combinator not in ("and", "or"):
        raise RuleError(join(path, "combinator"), f"must be 'and' or 'or', is {show(combinator)}")
    negated = data.get("not", False)
    if not isinstance(negated, bool):
        raise RuleError(join(path, "not"), f"must be true or false, is {kind_of(negated)}")
    rules = require(data, "rules", path)
    where = join(path, "rules")
    if not isinstance(rules, list):
        raise RuleError(where, f"must be a list, is {kind_of(rules)}")
    # An empty OR would match nobody and an empty AND would match everybody. Neither is intended.
    if not rules:
        raise RuleError(where, "is empty: a group needs at least one condition")
    parts = (_read(part, f"{where}[{index}]", depth + 1) for index, part in enumerate(rules))
    return Group(Combinator(combinator), negated, tuple(parts))


def _condition(data: Mapping[str, object], path: str) -> Condition:
    ref = read_ref(data, path)
    refuse_unknown_keys(
        data, path, _CONDITION_KEYS | _DROPPED | {each.key for each in ref.signal.args}
    )
    if data.get("valueSource", "value") != "value":
        raise RuleError(join(path, "valueSource"), "must be 'value'")
    operator = _operator(require(data, "operator", path), ref.signal, join(path, "operator"))
    value = _value(data.get("value", _MISSING), ref.signal, operator, join(path, "value"))
    return Condition(ref, operator.symbol, value)


def _operator(symbol: object, signal: Signal, path: str) -> Operator:
    operator = OPERATORS.get(symbol) if isinstance(symbol, str) else None
    if operator is None:
        raise RuleError(path, f"{show(symbol)} is not an operator{_closest_operator(symbol)}")
    # A trait may be a text or a number. The value of the condition decides which is compared.
    if not signal.is_trait and not operator.suits(text=False):
        raise RuleError(path, f"'{operator.symbol}' does not compare {signal.name}, a number")
    return operator


def _value(value: object, signal: Signal, operator: Operator, path: str) -> RuleValue:
    if operator.takes is Takes.NOTHING:
        # The rule builder writes an empty text for an operator without a value.
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
        raise RuleError(path, f"must be a list, is {kind_of(value)}")
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
    return _number(value, path) if may_be_number and is_number else read_text(value, path)


def _number(value: object, path: str) -> int | float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise RuleError(path, f"must be a number, is {kind_of(value)}")
    try:
        finite = math.isfinite(float(value))
    except OverflowError:
        finite = False
    if not finite:
        raise RuleError(path, "must be a finite number of ordinary size")
    return value


def _closest_operator(symbol: object) -> str:
    # By similarity alone, the suggestion for "=>" would be "=".
    meant = _OTHER_WORDS.get(symbol) if isinstance(symbol, str) else None
    return f"; did you mean '{meant}'?" if meant else closest(symbol, OPERATORS)
