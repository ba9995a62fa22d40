"""The signals that rules can use: one row per signal with its texts, needs and SQL. Pure."""

from segmentation.signals.arguments import Argument
from segmentation.signals.catalogue import (
    GROUPS,
    SIGNALS,
    SIGNALS_BY_NAME,
    needs_of,
    usual_refs,
)
from segmentation.signals.needs import Need, UndeclaredNeedError
from segmentation.signals.sources import LeftOut, Sources, Subject
from segmentation.signals.types import (
    MAX_WINDOW,
    Compiled,
    Signal,
    SignalKind,
    SignalRef,
    SignalValue,
    Window,
)

__all__ = [
    "GROUPS",
    "MAX_WINDOW",
    "SIGNALS",
    "SIGNALS_BY_NAME",
    "Argument",
    "Compiled",
    "LeftOut",
    "Need",
    "Signal",
    "SignalKind",
    "SignalRef",
    "SignalValue",
    "Sources",
    "Subject",
    "UndeclaredNeedError",
    "Window",
    "needs_of",
    "usual_refs",
]
