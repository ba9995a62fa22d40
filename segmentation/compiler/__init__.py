"""Turn rules and signals into one SQL statement per reading. Runs no query itself."""

from segmentation.compiler.conditions import compile_rule
from segmentation.compiler.reading import (
    Reading,
    SegmentRules,
    compile_reading,
    compile_rules,
    compile_signals,
)

__all__ = [
    "Reading",
    "SegmentRules",
    "compile_reading",
    "compile_rule",
    "compile_rules",
    "compile_signals",
]
