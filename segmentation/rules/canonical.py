"""The one shape in which a rule is stored, whoever wrote it. Pure."""

from segmentation.rules.parse import parse
from segmentation.rules.ranges import check_ranges
from segmentation.rules.types import to_json


def canonical_rule(data: object) -> dict[str, object]:
    """Return the rule as it is stored. Raise RuleError, with the path, where it cannot be."""
    return to_json(check_ranges(parse(data)))
