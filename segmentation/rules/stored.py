"""The English of a rule as it is stored. Pure."""

from segmentation.rules.explain import explain
from segmentation.rules.parse import parse
from segmentation.rules.types import RuleError


def in_english(rule: object) -> str:
    """Return the rule as a sentence, or its fault."""
    if rule is None:
        return "no rule"
    try:
        return explain(parse(rule))
    except RuleError as error:
        return f"This rule cannot be read: {error}"
