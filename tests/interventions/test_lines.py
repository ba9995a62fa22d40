"""Connections are opened and closed several at a time, and a loop without mails needs no thread."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from interventions.channels import lines
from interventions.channels.lines import Lines
from interventions.channels.memory import MemoryConnection, MemoryMessage, memory_channel


class Counted(MemoryConnection):
    """A connection that counts how often it was closed."""

    closed = 0

    def close(self) -> None:
        """Count it."""
        self.closed += 1


def test_a_loop_with_nothing_to_send_starts_no_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []

    def pool(most: int, **options: str) -> ThreadPoolExecutor:
        made.append(most)
        return ThreadPoolExecutor(most, **options)

    monkeypatch.setattr(lines, "ThreadPoolExecutor", pool)
    line = Counted()
    idle = Lines(replace(memory_channel(line), connections=lambda: 4))

    idle.open()
    idle.close()

    assert (made, line.closed) == ([], 1)


def test_every_connection_is_closed() -> None:
    opened = [Counted() for _ in range(2)]
    channel = replace(
        memory_channel(MemoryConnection()), connect=iter(opened).__next__, connections=lambda: 2
    )
    busy = Lines(channel)
    busy.begin([MemoryMessage("a@example.org", "m1", "s", "b", "u")]).answers()
    busy.open()

    busy.close()

    assert [each.closed for each in opened] == [1, 1]
