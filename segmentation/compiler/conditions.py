"""A rule as one SQL condition, true, false or null, over the columns of its signals."""

from segmentation.compiler.sql import Params
from segmentation.rules import Condition, Group
from segmentation.rules.operators import Takes


def compile_rule(rule: Condition | Group, params: Params) -> str:
    """Return the SQL condition; signals are read from the alias r by their column names."""
    if isinstance(rule, Condition):
        return _compile_condition(rule, params)
    parts = [f"({compile_rule(part, params)})" for part in rule.rules]
    joined = f" {rule.combinator.value.upper()} ".join(parts)
    return f"NOT ({joined})" if rule.negated else joined


def _compile_condition(condition: Condition, params: Params) -> str:
    column = f'r."{condition.ref.column}"'
    is_text = condition.signal.is_text
    cast = "text" if is_text else "float8"
    # Both sides as floats, as the rule is decided in Python.
    signal = column if is_text else f"{column}::float8"
    if condition.comparison.takes is Takes.MANY:
        operands = [params.bind(list(condition.operands), f"{cast}[]")]
    else:
        convert = str if is_text else float
        operands = [params.bind(convert(operand), cast) for operand in condition.operands]
    return condition.comparison.sql.format(*operands, signal=signal)
