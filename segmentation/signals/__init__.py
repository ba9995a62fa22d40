"""What a rule may ask about a learner: the catalogue of signals. Pure; their SQL: compiler."""

from segmentation.signals.catalogue import SIGNALS, SIGNALS_BY_NAME, usual_refs
from segmentation.signals.types import (
    MAX_WINDOW,
    Signal,
    SignalKind,
    SignalRef,
    SignalValue,
    Window,
)

__all__ = [
    "MAX_WINDOW",
    "SIGNALS",
    "SIGNALS_BY_NAME",
    "Signal",
    "SignalKind",
    "SignalRef",
    "SignalValue",
    "Window",
    "usual_refs",
]
