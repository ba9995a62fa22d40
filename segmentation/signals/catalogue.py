"""All signals that a rule can name. docs/rules.md defines each of them. Pure."""

from collections.abc import Iterable

from segmentation.signals.activity import ACTIVITY, ENROLLED
from segmentation.signals.consistency import CONSISTENCY
from segmentation.signals.context import CONTEXT
from segmentation.signals.log import EVENTS, MESSAGES
from segmentation.signals.modules import COMPLETED, MODULE
from segmentation.signals.needs import Need
from segmentation.signals.owed import OWED
from segmentation.signals.quizzes import QUIZ
from segmentation.signals.scores import FIFTHS
from segmentation.signals.types import SignalRef, Window

# In the order in which people choose them.
GROUPS = {
    "Activity": ACTIVITY,
    "Consistency": CONSISTENCY,
    "Quizzes": QUIZ,
    "Modules and activities": COMPLETED + OWED + MODULE,
    "Fifths of the course": FIFTHS,
    "Messages": MESSAGES,
    "Any events": EVENTS,
    "About the learner": (ENROLLED, *CONTEXT),
}
SIGNALS = tuple(signal for signals in GROUPS.values() for signal in signals)
SIGNALS_BY_NAME = {signal.name: signal for signal in SIGNALS}

# The windows of every signal in an export, in addition to "all" where that is allowed.
_USUAL_WINDOWS = (7, 14, 30)


def usual_refs() -> list[SignalRef]:
    """Return every signal without arguments, over the usual windows and over all days."""
    return [
        SignalRef(signal, window)
        for signal in SIGNALS
        if not signal.args
        for window in _windows(signal.window)
    ]


def needs_of(refs: Iterable[SignalRef]) -> frozenset[Need]:
    """Return the needs of all the signals."""
    return frozenset(need for ref in refs for need in ref.signal.needs)


def _windows(window: Window) -> tuple[int | None, ...]:
    if window is Window.NONE:
        return (None,)
    return (*_USUAL_WINDOWS, None) if window is Window.OPTIONAL else _USUAL_WINDOWS
