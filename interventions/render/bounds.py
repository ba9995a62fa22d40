"""Limits on the work of a template. Liquid's own limits check too late, and each part alone."""

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
# The budget of one rendering: letters made by filters, and parts executed in loops.
MAX_WORK = 1_000_000

_work_left: ContextVar[int] = ContextVar("work_left", default=MAX_WORK)


class BoundedContext(RenderContext):
    """A rendering context that counts all loops together."""

    def raise_for_loop_limit(self, length: int = 1) -> None:
        """Raise ResourceLimitError if this loop, or all loops so far, are too long."""
        super().raise_for_loop_limit(length)
        # Each loop counts as the whole template, because the parts inside it are not known here.
        parts = self.template.parts if isinstance(self.template, BoundedTemplate) else 1
        spend(length * parts)


class BoundedTemplate(BoundTemplate):
    """A template with a budget per rendering."""

    context_class = BoundedContext

    @cached_property
    def parts(self) -> int:
        """Return the number of tags, outputs and texts."""
        return sum(1 for _ in _nodes(self))

    def render(self, *args: Any, **kwargs: Any) -> str:
        """Return the text. Raise LiquidError, or ResourceLimitError above the budget."""
        token = _work_left.set(MAX_WORK)
        try:
            return super().render(*args, **kwargs)
        finally:
            _work_left.reset(token)


def spend(amount: int) -> None:
    """Subtract the amount from the rendering's budget. Raise ResourceLimitError below 0."""
    left = _work_left.get() - amount
    if left < 0:
        raise ResourceLimitError("it does too much: shorten its loops and texts", token=None)
    _work_left.set(left)


def check_length(source: str) -> str:
    """Return the source. Raise LiquidSyntaxError if it is too long."""
    if len(source) > MAX_SOURCE:
        raise LiquidSyntaxError(f"a template can have at most {MAX_SOURCE:,} letters", token=None)
    return source


def check_ranges(template: BoundTemplate) -> BoundTemplate:
    """Return the template. Raise LiquidSyntaxError if any branch has a long range.

    Reversing or searching a range goes through all of it before a loop is counted.
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
    """Return the filter with a limit on the size of its result."""

    @wraps(function)
    def bounded_filter(*args: Any, **kwargs: Any) -> Any:
        result = function(*args, **kwargs)
        if isinstance(result, str) and len(result) > MAX_TEXT:
            raise _too_long()
        # A number that is squared repeatedly in a loop would keep a worker busy for minutes.
        if isinstance(result, int) and result.bit_length() > MAX_BITS:
            raise FilterArgumentError("a number becomes too large", token=None)
        spend(len(result) if isinstance(result, str) else 1)
        return result

    return bounded_filter


@string_filter
def replace_text(text: str, search: object, by: object = "") -> str:
    """Return the text with each `search` replaced. Check the length of the result first."""
    old, new = soft_str(search), soft_str(by)
    if isinstance(text, Markup):
        # Markup.replace would do this itself, but only after the length check.
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
