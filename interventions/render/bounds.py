"""Bounds on what a template may use: liquid's own limits look only afterwards, and at one part."""

from collections.abc import Callable, Iterator
from contextvars import ContextVar
from functools import cached_property, wraps
from typing import Any

from liquid import BoundTemplate, Markup, RenderContext, escape, soft_str
from liquid.ast import Node
from liquid.builtin.expressions.primitive import IntegerLiteral, RangeLiteral
from liquid.exceptions import FilterArgumentError, LiquidSyntaxError, ResourceLimitError
from liquid.expression import Expression
from liquid.filter import string_filter

MAX_SOURCE = 50_000
MAX_RANGE = 1_000
MAX_TEXT = 200_000
MAX_BITS = 1_024
# What all of one rendering may do: letters that filters make, and parts that loops go through.
MAX_WORK = 1_000_000

_work_left: ContextVar[int] = ContextVar("work_left", default=MAX_WORK)


class BoundedContext(RenderContext):
    """A rendering whose loops are paid for together, not each by itself."""

    def raise_for_loop_limit(self, length: int = 1) -> None:
        """Raise ResourceLimitError where the loop, or all loops so far, are too long."""
        super().raise_for_loop_limit(length)
        # As if each loop went through the whole template: which parts are inside is not told.
        parts = self.template.parts if isinstance(self.template, BoundedTemplate) else 1
        spend(length * parts)


class BoundedTemplate(BoundTemplate):
    """A template with one budget for each rendering."""

    context_class = BoundedContext

    @cached_property
    def parts(self) -> int:
        """Return how many tags, outputs and texts there are."""
        return sum(1 for _ in _nodes(self))

    def render(self, *args: Any, **kwargs: Any) -> str:
        """Return the text. Raise LiquidError, ResourceLimitError where it does too much."""
        token = _work_left.set(MAX_WORK)
        try:
            return super().render(*args, **kwargs)
        finally:
            _work_left.reset(token)


def spend(amount: int) -> None:
    """Take the amount from the budget of the rendering. Raise ResourceLimitError past its end."""
    left = _work_left.get() - amount
    if left < 0:
        raise ResourceLimitError("it does too much: shorten its loops and texts", token=None)
    _work_left.set(left)


def check_length(source: str) -> str:
    """Return the source. Raise LiquidSyntaxError where it is too long."""
    if len(source) > MAX_SOURCE:
        raise LiquidSyntaxError(f"a template has at most {MAX_SOURCE:,} letters", token=None)
    return source


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
        spend(len(result) if isinstance(result, str) else 1)
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


def _nodes(template: BoundTemplate) -> Iterator[Node]:
    static = RenderContext(template)
    nodes = list(template.nodes)
    while nodes:
        node = nodes.pop()
        nodes += node.children(static, include_partials=False)
        yield node


def _expressions(template: BoundTemplate) -> Iterator[Expression]:
    for node in _nodes(template):
        expressions = list(node.expressions())
        while expressions:
            expression = expressions.pop()
            yield expression
            expressions += expression.children()
