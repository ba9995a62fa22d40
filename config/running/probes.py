"""Questions to a part that may hang, asked in a thread and with a time limit."""

import time
from collections.abc import Callable
from concurrent.futures import Future
from threading import BoundedSemaphore, Thread
from typing import Generic, TypeVar

T = TypeVar("T")

# While a part hangs, each question occupies a thread until the part answers.
MOST_AT_ONCE = 8


class Probe:
    """Asks one part that may hang, with a limited number of questions at once."""

    def __init__(self) -> None:
        self._slots = BoundedSemaphore(MOST_AT_ONCE)

    def begin(self, ask: Callable[[], T]) -> "Answer[T]":
        """Ask in the background."""
        future: Future[T] = Future()
        if self._slots.acquire(blocking=False):
            # A daemon thread, because the end of the process must not wait for a hanging part.
            Thread(target=self._work, args=(ask, future), daemon=True).start()
        else:
            future.set_exception(TimeoutError("Earlier questions are not answered yet."))
        return Answer(future, time.monotonic())

    def _work(self, ask: Callable[[], T], future: Future[T]) -> None:
        try:
            future.set_result(ask())
        except Exception as error:  # noqa: BLE001
            # Raised again by `within`.
            future.set_exception(error)
        finally:
            self._slots.release()


class Answer(Generic[T]):
    """The pending answer of a part."""

    def __init__(self, future: Future[T], begun: float) -> None:
        self._future = future
        self._begun = begun

    def within(self, seconds: float) -> T:
        """Return the answer, at most `seconds` after the question.

        Raises the error of the question, or TimeoutError.
        """
        left = self._begun + seconds - time.monotonic()
        return self._future.result(timeout=max(0.0, left))
