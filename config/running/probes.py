"""Ask a part that may hang: in a thread of its own, and no longer than it may take."""

import time
from collections.abc import Callable
from concurrent.futures import Future
from threading import BoundedSemaphore, Thread
from typing import Generic, TypeVar

T = TypeVar("T")

# While a part hangs, each question to it leaves a thread behind until the part lets go of it.
MOST_AT_ONCE = 8


class Probe:
    """Asks one part, which may be hanging, a few times at once at most."""

    def __init__(self) -> None:
        self._slots = BoundedSemaphore(MOST_AT_ONCE)

    def begin(self, ask: Callable[[], T]) -> "Answer[T]":
        """Ask in the background."""
        future: Future[T] = Future()
        if self._slots.acquire(blocking=False):
            # A daemon: the end of the process must not wait for a part that hangs.
            Thread(target=self._work, args=(ask, future), daemon=True).start()
        else:
            future.set_exception(TimeoutError("Earlier questions are not answered yet."))
        return Answer(future, time.monotonic())

    def _work(self, ask: Callable[[], T], future: Future[T]) -> None:
        try:
            future.set_result(ask())
        except Exception as error:  # noqa: BLE001
            # Raised again where the answer is waited for.
            future.set_exception(error)
        finally:
            self._slots.release()


class Answer(Generic[T]):
    """What a part is being asked."""

    def __init__(self, future: Future[T], begun: float) -> None:
        self._future = future
        self._begun = begun

    def within(self, seconds: float) -> T:
        """Return the answer, so many seconds after the question at the latest.

        Raises what the question raised, or TimeoutError.
        """
        left = self._begun + seconds - time.monotonic()
        return self._future.result(timeout=max(0.0, left))
