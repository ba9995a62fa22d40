"""Tell loops whether this process has been asked to stop."""

import mmap
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

# One byte that a process shares with all processes that it forks. Celery signals only the main
# process of a worker, and the processes that do the work must learn of it.
_asked = mmap.mmap(-1, 1)


class _Signal:
    """Whether this process itself received the signal. The signal may be for one child only."""

    received = False


def ask() -> None:
    """Ask this process, and all processes forked from it before or later, to stop."""
    _asked[0] = 1


def is_asked() -> bool:
    """Return whether the process should start nothing new."""
    return _asked[0] == 1 or _Signal.received


@contextmanager
def signal_held_back() -> Iterator[None]:
    """Delay the effect of SIGTERM until the end of the block. During the block it only asks.

    A service manager may send SIGTERM to every process of a worker. If a process ended in the
    middle of a mail, nobody would know whether the message was accepted.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def note(number: int, frame: FrameType | None) -> None:
        _Signal.received = True

    before = signal.signal(signal.SIGTERM, note)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
        if _Signal.received:
            _Signal.received = False
            os.kill(os.getpid(), signal.SIGTERM)
