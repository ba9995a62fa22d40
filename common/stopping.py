"""Whether this process is to stop, for loops that do one piece of work after another."""

import mmap
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

# A byte that a process shares with all that it forks: the first process of a Celery worker is told
# to stop, and those that do its work are not.
_asked = mmap.mmap(-1, 1)


class _Told:
    """Whether a signal came to this process itself, which may end one child and no other."""

    told = False


def ask() -> None:
    """Ask this process, and all that were or will be forked from it, to stop."""
    _asked[0] = 1


def is_asked() -> bool:
    """Return whether the process is to begin nothing new."""
    return _asked[0] == 1 or _Told.told


@contextmanager
def signal_held_back() -> Iterator[None]:
    """Let SIGTERM ask only, during the block, and do what it does without us after it.

    A service manager may send it to every process of a worker. Those that it ends in the middle of
    a mail would leave a message of which nobody knows whether it was accepted.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def note(number: int, frame: FrameType | None) -> None:
        _Told.told = True

    before = signal.signal(signal.SIGTERM, note)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
        if _Told.told:
            _Told.told = False
            os.kill(os.getpid(), signal.SIGTERM)
