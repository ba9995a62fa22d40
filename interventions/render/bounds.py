"""Bounds on what one expression of a template may use: liquid's own limits look only afterwards."""

from collections.abc import Callable, Iterator
from functools import wraps
from typing import Any

from liquid import BoundTemplate, Markup, RenderContext, escape, soft_str
from liquid.builtin.expressions.primitive import IntegerLiteral, RangeLiteral
from liquid.exceptions import FilterArgumentError, LiquidSyntaxError
from liquid.expression import Expression
from liquid.filter import string_filter

MAX_RANGE = 1_000
MAX_TEXT = 200_000
MAX_BITS = 1_024


def check_ranges(template: BoundTemplate) -> BoundTemplate:
    """Return the template. Raise LiquidSyntaxError where any branch of it holds a long range.

    Reversing a range, or looking for something in it, walks it whole before any loop is counted.
    """
    for expression in _expressions(template):
        if isinstance(expression, RangeLiteral) and not _is_short(expression):
            raise LiquidSyntaxError(
                f"write a range to loop over with two whole numbers of at most {MAX_RANGE}, "
                f"not {str(expression)[:60]}",
                token=expression.token,
            )
    return template


def bounded(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the filter so that it refuses to give a text or a number of any size."""

    @wraps(function)
    def bounded_filter(*args: Any, **kwargs: Any) -> Any:
        result = function(*args, **kwargs)
        if isinstance(result, str) and len(result) > MAX_TEXT:
            raise _too_long()
        # A number squared again and again in a loop would keep a worker busy for minutes.
        if isinstance(result, int) and result.bit_length() > MAX_BITS:
            raise FilterArgumentError("a number becomes too large", token=None)
        return result

    return bounded_filter


@string_filter
def replace_text(text: str, search: object, by: object = "") -> str:
    """Return the text with each `search` replaced. Counts first: the result may be enormous."""
    old, new = soft_str(search), soft_str(by)
    if isinstance(text, Markup):
        # What Markup.replace would do by itself, only after the counting.
        old, new = escape(old), escape(new)
    if not old:
        raise FilterArgumentError("replace needs a text to look for", token=None)
    if len(text) + str(text).count(str(old)) * (len(new) - len(old)) > MAX_TEXT:
        raise _too_long()
    return text.replace(old, new)


def _too_long() -> FilterArgumentError:
    return FilterArgumentError(f"a text becomes longer than {MAX_TEXT} characters", token=None)


def _is_short(expression: RangeLiteral) -> bool:
    return all(
        isinstance(bound, IntegerLiteral) and abs(bound.value) <= MAX_RANGE
        for bound in (expression.start, expression.stop)
    )


def _expressions(template: BoundTemplate) -> Iterator[Expression]:
    static = RenderContext(template)
    nodes = list(template.nodes)
    while nodes:
        node = nodes.pop()
        nodes += node.children(static, include_partials=False)
        expressions = list(node.expressions())
        while expressions:
            expression = expressions.pop()
            yield expression
            expressions += expression.children()
