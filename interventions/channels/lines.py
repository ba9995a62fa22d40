"""The open connections of one dispatch loop to a channel's other side."""

import logging
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from interventions.channels.base import Answer, Channel, ChannelDownError, Connection, Result

# So many messages of a channel whose other side is our own database are one turn.
LOCAL_AT_ONCE = 16
# A thread that waits for its turn interrupts the one that decides only after this time. With the
# usual 5 ms, six workers on two cores used more processor time, for switches alone. The
# one that decides gives way at each of its statements anyway.
SECONDS_BETWEEN_SWITCHES = 0.05

T = TypeVar("T")
R = TypeVar("R")

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Flight:
    """Messages on their way. `answers` waits for the answers and returns them in order."""

    answers: Callable[[], list[Answer]]
    _sending: Sequence[Future[Answer]] = ()

    def is_over(self, *, within: float) -> bool:
        """Wait at most so many seconds. Return whether all answers of the threads have come."""
        return not wait(self._sending, timeout=within).not_done


class Lines:
    """Connections of one channel, over which several messages go out at once.

    The number of messages at once begins with one and doubles with each full turn, so a loop that
    meets an error of the connection at its beginning has tried one message and not many.
    """

    def __init__(self, channel: Channel) -> None:
        self._connect = channel.connect
        self._lines = [channel.connect()]
        # To write to our own database is no I/O of a connection, so many at once need no threads.
        self._most = LOCAL_AT_ONCE if channel.is_local else channel.connections()
        self._has_endpoints = channel.routes is not None and not channel.is_local
        self._uses_threads = self._most > 1 and not channel.is_local
        self._wanted = 1
        # Threads are used only for connecting and sending. They never use the database.
        self._threads: ThreadPoolExecutor | None = None

    @property
    def most(self) -> int:
        """Return how many messages may ever go out at once."""
        return self._most

    @property
    def room(self) -> int:
        """Return how many messages may go out at once now, each over its own connection."""
        return len(self._lines)

    @property
    def sends_aside(self) -> bool:
        """Return whether messages go out in threads, so that this one can do something else."""
        return self._uses_threads

    @property
    def is_settled(self) -> bool:
        """Return whether `open` would do nothing if no connection has failed since it was called.

        A failed connection gives an answer that stops the channel.
        """
        return len(self._lines) == self._wanted

    def open(self) -> None:
        """Connect if needed. Raise ChannelDownError if not even one connection can be opened.

        If the other side refuses one of several connections, the loop works with the others.
        """
        first, *others = self._lines
        first.open()
        new = [self._connect() for _ in range(self._wanted - len(self._lines))]
        is_open = [*map(_is_open, others), *self._each(_is_open, new)]
        self._lines[1:] = [
            line for line, is_up in zip([*others, *new], is_open, strict=True) if is_up
        ]
        if not all(is_open):
            self._most = self._wanted = len(self._lines)

    def begin(self, messages: Sequence[Any]) -> Flight:
        """Begin to hand off at most as many messages as there is room for.

        A channel with only one connection sends when the answers are asked for, because its
        connection may use the database.
        """
        pairs = list(zip(self._lines, messages, strict=False))
        if len(messages) == self._wanted:
            self._wanted = min(2 * self._wanted, self._most)
        if not self._uses_threads:
            return Flight(lambda: [self._send(pair) for pair in pairs])
        sending = [self._pool().submit(self._send, pair) for pair in pairs]
        return Flight(lambda: [each.result() for each in sending], sending)

    def close(self) -> None:
        """Close all connections. Several wait at once for the replies of the other side."""
        first, *others = self._lines
        first.close()
        for _ in self._each(_close, others):
            pass
        if self._threads is not None:
            self._threads.shutdown()

    def _each(self, work: Callable[[T], R], items: Sequence[T]) -> Iterable[R]:
        uses_threads = self._uses_threads and items
        return self._pool().map(work, items) if uses_threads else map(work, items)

    def _pool(self) -> ThreadPoolExecutor:
        if self._threads is None:
            self._threads = ThreadPoolExecutor(self._most, thread_name_prefix="line")
        return self._threads

    def _send(self, pair: tuple[Connection, Any]) -> Answer:
        line, message = pair
        try:
            return line.send(message)
        # The answers of the other messages must not be lost with this one's.
        except Exception as error:
            log.exception("A connection failed")
            detail = f"{type(error).__name__}: {error}"[:300]
            # Where each course has its endpoint, the next message may well go to a sound one.
            return Answer(Result.IN_DOUBT, detail, of_one_endpoint=self._has_endpoints)


@contextmanager
def switching_seldom() -> Iterator[None]:
    """Let the threads of this process interrupt each other less often, in the block."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(SECONDS_BETWEEN_SWITCHES)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


def _close(line: Connection) -> None:
    line.close()


def _is_open(line: Connection) -> bool:
    try:
        line.open()
    except ChannelDownError as error:
        log.warning("One connection less: %s", error)
        return False
    return True
