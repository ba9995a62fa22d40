"""Restarts programs that hang: their stages have been silent for too long."""

from collections.abc import Callable, Collection, Mapping, Sequence
from math import inf
from time import monotonic

from django.db import DatabaseError, InterfaceError, connection

from config.running.probes import Probe
from config.running.processes import SECONDS_TO_END, Child
from config.running.stages import seconds_of_silence
from config.running.workers import STAGES, WORKERS

SILENT_SECONDS = 60.0
SECONDS_BETWEEN_LOOKS = 5.0
SECONDS_TO_ANSWER = 3.0
SECONDS_FOR_THE_BEAT = 2.0
LONGEST_PATIENCE = 16

BEAT = "beat"
# The stages of each program. Silent stages may mean that the program hangs.
WORKED_ON_BY: Mapping[str, Collection[str]] = WORKERS | {BEAT: tuple(STAGES)}


class Watchdog:
    """Watches the stages of this machine's programs.

    A stage that runs on another machine is not silent. While the database is down, nothing is known
    and nothing is restarted.
    """

    def __init__(
        self,
        children: Sequence[Child],
        *,
        silent_seconds: float = SILENT_SECONDS,
        seconds_to_end: float = SECONDS_TO_END,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._children = children
        self._silent_seconds = silent_seconds
        self._seconds_to_end = seconds_to_end
        self._clock = clock
        self._probe = Probe()
        # The time since which the database has always answered. Before, the stages could not run.
        self._answers_since = clock()
        self._next_look = 0.0
        # Longer limits of silence after a restart, by program.
        self._patience: dict[str, float] = {}

    def look(self) -> None:
        """Restart hanging programs. It is called every second and checks every five."""
        now = self._clock()
        if now < self._next_look:
            return
        self._next_look = now + SECONDS_BETWEEN_LOOKS
        silence = self._silence()
        if silence is None:
            self._answers_since = now
            return
        if now - self._answers_since > self._silent_seconds:
            # The beat first, because without a beat all workers are silent.
            for child in sorted(self._children, key=lambda child: child.name != BEAT):
                self._judge(child, silence, now)

    def _judge(self, child: Child, silence: Mapping[str, float], now: float) -> None:
        stages = WORKED_ON_BY.get(child.name, ())
        silent = [stage for stage in stages if silence.get(stage, inf) > self._silent_seconds]
        # The beat hangs only if all stages are silent. A single silent stage is the worker's.
        hangs = len(silent) == len(STAGES) if child.name == BEAT else bool(silent)
        if not hangs:
            self._patience.pop(child.name, None)
        elif self._has_had_its_time(child, now=now):
            self._replace(child, silent, now)

    def _has_had_its_time(self, child: Child, *, now: float) -> bool:
        patience = self._patience.get(child.name, self._silent_seconds)
        beats = [each for each in self._children if each.name == BEAT]
        return child.has_run_for(patience, now=now) and all(
            beat.has_run_for(self._silent_seconds, now=now) for beat in beats
        )

    def _replace(self, child: Child, silent: Sequence[str], now: float) -> None:
        # The limit doubles each time. Otherwise a slow machine that needs longer to start would be
        # restarted for ever.
        patience = self._patience.get(child.name, self._silent_seconds)
        self._patience[child.name] = min(patience * 2, LONGEST_PATIENCE * self._silent_seconds)
        words = f"Silent for over {self._silent_seconds:.0f} s: {', '.join(silent)}."
        # A worker finishes its current message; nobody minds a beat that is cut off.
        grace = SECONDS_FOR_THE_BEAT if child.name == BEAT else self._seconds_to_end
        child.replace(words, now=now, seconds_to_end=grace)

    def _silence(self) -> dict[str, float] | None:
        try:
            return self._probe.begin(_read_silence).within(SECONDS_TO_ANSWER)
        except (TimeoutError, DatabaseError, InterfaceError):
            return None


def _read_silence() -> dict[str, float]:
    # Called in its own thread, so it uses its own connection.
    try:
        return seconds_of_silence()
    finally:
        connection.close()
