"""The types of a parsed rule: groups and conditions. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from segmentation.rules.operators import OPERATORS, Operator, Takes
from segmentation.signals import Signal, SignalRef

Operand = int | float | str
# None for an operator without a value, a tuple for an operator with several values.
RuleValue = Operand | tuple[Operand, ...] | None


class RuleError(ValueError):
    """A rule that cannot be read. `path` leads to the fault, as in rules[0].rules[2].value."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path or 'the rule'}: {reason}")
        self.path = path
        self.reason = reason


class Combinator(StrEnum):
    AND = "and"
    OR = "or"


@dataclass(frozen=True)
class Condition:
    """One comparison of a signal."""

    ref: SignalRef
    operator: str
    value: RuleValue

    @property
    def signal(self) -> Signal:
        return self.ref.signal

    @property
    def field(self) -> str:
        return self.ref.signal.name

    @property
    def comparison(self) -> Operator:
        return OPERATORS[self.operator]

    @property
    def is_text(self) -> bool:
        """Return whether texts are compared: a trait with a text or a list in the rule."""
        texts = any(isinstance(operand, str) for operand in self.operands)
        return self.signal.is_trait and (texts or self.comparison.takes is Takes.MANY)

    @property
    def operands(self) -> tuple[Operand, ...]:
        """Return the value or values as a tuple, for any operator."""
        if self.value is None:
            return ()
        return self.value if isinstance(self.value, tuple) else (self.value,)


@dataclass(frozen=True)
class Group:
    """Conditions and groups joined by one combinator, optionally negated. Never empty."""

    combinator: Combinator
    negated: bool
    rules: tuple["Condition | Group", ...]


def conditions(rule: Condition | Group) -> Iterator[Condition]:
    """Yield every condition of the rule, from left to right."""
    if isinstance(rule, Condition):
        yield rule
        return
    for part in rule.rules:
        yield from conditions(part)


def to_json(rule: Condition | Group) -> dict[str, object]:
    """Return the JSON from which `parse` reads the same rule."""
    if isinstance(rule, Group):
        return {
            "combinator": rule.combinator.value,
            "not": rule.negated,
            "rules": [to_json(part) for part in rule.rules],
        }
    shape = rule.ref.shape | {"operator": rule.operator}
    if rule.value is not None:
        shape["value"] = list(rule.value) if isinstance(rule.value, tuple) else rule.value
    return shape
