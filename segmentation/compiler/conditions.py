"""Compile a rule to one SQL condition over its signals' columns: true, false or null."""

# Every value is bound; only constants of this package are put into the text.
# ruff: noqa: S608

from collections.abc import Callable, Mapping

from segmentation.rules import OPERATORS, Condition, Group
from segmentation.rules.members import LARGEST, text_of
from segmentation.rules.operators import Takes
from segmentation.rules.types import Operand
from segmentation.sql import Params

# One member of a trait, converted for the comparison. rules.members does the same in Python.
_TEXTS = (
    "(CASE jsonb_typeof(member) WHEN 'number' THEN trim_scale(member::numeric)::text"
    " ELSE member #>> ARRAY[]::text[] END)"
)
_NUMBERS = (
    "(CASE jsonb_typeof(member) WHEN 'number'"
    f" THEN least(greatest(member::numeric, -{LARGEST:.0f}), {LARGEST:.0f})::float8 END)"
)


def compile_rule(rule: Condition | Group, params: Params, aliases: Mapping[str, str]) -> str:
    """Return the SQL condition. Signals are columns of r, named by `aliases` per identity."""
    if isinstance(rule, Condition):
        return _compile_condition(rule, params, f"r.{aliases[rule.ref.identity]}")
    parts = [f"({compile_rule(part, params, aliases)})" for part in rule.rules]
    joined = f" {rule.combinator.value.upper()} ".join(parts)
    return f"NOT ({joined})" if rule.negated else joined


def _compile_condition(condition: Condition, params: Params, column: str) -> str:
    entry = condition.comparison
    if entry.sees_unknown:
        return entry.sql.format(signal=column)
    if condition.signal.is_trait:
        return _compile_members(condition, column, params)
    # Both sides are floats, as in Python.
    return entry.sql.format(*_operands(condition, params), signal=f"{column}::float8")


def _compile_members(condition: Condition, column: str, params: Params) -> str:
    """Return SQL that is true if a member of the trait meets the condition.

    It is null if no member has the type of the condition.
    """
    denied = condition.comparison.denies
    entry = OPERATORS[denied] if denied else condition.comparison
    members = _TEXTS if condition.is_text else _NUMBERS
    # A CASE and not a join, so that only numbers are converted to numbers.
    met = entry.sql.format(*_operands(condition, params), signal=members)
    types = "'string', 'number', 'boolean'" if condition.is_text else "'number'"
    return (
        f"(SELECT {'NOT ' if denied else ''}bool_or({met}) FROM jsonb_array_elements("
        f"CASE jsonb_typeof({column}) WHEN 'array' THEN {column}"
        f" ELSE jsonb_build_array({column}) END) AS member"
        f" WHERE jsonb_typeof(member) IN ({types}))"
    )


def _operands(condition: Condition, params: Params) -> list[str]:
    cast = "text" if condition.is_text else "float8"
    convert: Callable[[Operand], str | float] = text_of if condition.is_text else float
    values = [convert(operand) for operand in condition.operands]
    if condition.comparison.takes is Takes.MANY:
        return [params.bind(values, f"{cast}[]")]
    return [params.bind(value, cast) for value in values]
