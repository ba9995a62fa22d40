"""Rules over signals: parse JSON, explain in English, evaluate in plain Python. Pure."""

from segmentation.rules.canonical import canonical_rule
from segmentation.rules.deciding import deciding
from segmentation.rules.describe import describe, figure, heading
from segmentation.rules.evaluate import evaluate
from segmentation.rules.explain import explain
from segmentation.rules.finding import find_faults, sentence, split_place
from segmentation.rules.known import NOTHING_KNOWN, AskedNames, Known
from segmentation.rules.offered import offered_signals
from segmentation.rules.operators import OPERATORS, Operator
from segmentation.rules.parse import MAX_CONDITIONS, MAX_DEPTH, parse, parse_text
from segmentation.rules.ranges import check_ranges, with_paths
from segmentation.rules.refs import find_ref
from segmentation.rules.stored import in_english
from segmentation.rules.types import Combinator, Condition, Group, RuleError, conditions, to_json
from segmentation.rules.verdicts import Verdict, verdicts

__all__ = [
    "MAX_CONDITIONS",
    "MAX_DEPTH",
    "NOTHING_KNOWN",
    "OPERATORS",
    "AskedNames",
    "Combinator",
    "Condition",
    "Group",
    "Known",
    "Operator",
    "RuleError",
    "Verdict",
    "canonical_rule",
    "check_ranges",
    "conditions",
    "deciding",
    "describe",
    "evaluate",
    "explain",
    "figure",
    "find_faults",
    "find_ref",
    "heading",
    "in_english",
    "offered_signals",
    "parse",
    "parse_text",
    "sentence",
    "split_place",
    "to_json",
    "verdicts",
    "with_paths",
]
