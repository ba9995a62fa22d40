"""Turn rules and signals into one SQL statement a reading. Runs no query itself."""

from segmentation.compiler.norms import compile_norms
from segmentation.compiler.reading import (
    Reading,
    SegmentRules,
    compile_reading,
    compile_rules,
    compile_signals,
    needs_norms,
)
from segmentation.compiler.sources import LeftOut, Subject

__all__ = [
    "LeftOut",
    "Reading",
    "SegmentRules",
    "Subject",
    "compile_norms",
    "compile_reading",
    "compile_rules",
    "compile_signals",
    "needs_norms",
]
