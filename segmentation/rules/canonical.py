"""The canonical form in which every rule is stored. Pure."""

from segmentation.rules.known import NOTHING_KNOWN, Known, check_names
from segmentation.rules.parse import parse
from segmentation.rules.ranges import check_ranges
from segmentation.rules.types import to_json


def canonical_rule(data: object, known: Known = NOTHING_KNOWN) -> dict[str, object]:
    """Return the rule in its stored form. Raise RuleError, with the path to the fault."""
    return to_json(check_names(check_ranges(parse(data)), known))
