"""What is wrong, in sentences of our own. Anybody may read them: they name no server and nobody."""

from collections.abc import Iterator
from dataclasses import dataclass

from config.health.reading import HostRun, Reading
from config.running.stages import MOST_SECONDS_APART
from config.running.workers import STAGES

# A beat starts each stage every five seconds, and a stage ends its run after half a minute.
MOST_SECONDS_SINCE_A_RUN = 60.0
# On a host that began no run for so long, nobody waits for the next one.
SECONDS_TO_FORGET_A_HOST = 600.0

DATABASE, BROKER, CLOCK = "database", "broker", "clock"


@dataclass(frozen=True)
class Fault:
    """What is wrong with one part, in a sentence that says what to do."""

    part: str
    sentence: str


@dataclass(frozen=True)
class Health:
    """The state of the installation. `reading` is None where the database does not give one.

    `faults` make it red. `remarks` say what somebody should look at while the work goes on.
    """

    faults: tuple[Fault, ...]
    remarks: tuple[str, ...] = ()
    reading: Reading | None = None

    @property
    def is_red(self) -> bool:
        """Return whether somebody has to do something at once."""
        return bool(self.faults)

    def is_well(self, part: str) -> bool:
        """Return whether nothing is wrong with the part."""
        return all(fault.part != part for fault in self.faults)


NO_DATABASE = Fault(
    DATABASE,
    "The database does not answer: start PostgreSQL, or correct DATABASE_URL. The log of the web"
    " server says more.",
)
SLOW_DATABASE = Fault(
    DATABASE,
    "The database answers too slowly to be read: look for what keeps it busy, such as a migration"
    " or a full disk.",
)
OTHER_SCHEMA = Fault(
    DATABASE,
    "The tables in the database are not those of this version: run manage.py migrate.",
)
NO_BROKER = Fault(
    BROKER,
    "The Redis or Valkey does not answer: start it, or correct REDIS_URL. Nothing is lost: what"
    " waits is in the database. The log of the web server says more.",
)


def faults_of(
    reading: Reading, *, most_seconds: float = MOST_SECONDS_SINCE_A_RUN
) -> Iterator[Fault]:
    """Yield what the reading shows to be wrong: a stage may be silent for `most_seconds`."""
    if abs(reading.clock_difference) > MOST_SECONDS_APART:
        yield Fault(
            CLOCK,
            f"The clock of the web server's machine is {_apart(reading.clock_difference)} the"
            " database's: set both by a time server.",
        )
    for stage, age in reading.stages.items():
        if age is None:
            yield Fault(stage, f"The stage {stage} has never run to its end: {_ADVICE}")
        elif age > most_seconds:
            yield Fault(
                stage, f"The stage {stage} has not run to its end for {age:.0f} s: {_ADVICE}"
            )


_ADVICE = "see whether its worker and the beat run, and what their logs say."


def remarks_of(reading: Reading) -> Iterator[str]:
    """Yield what the reading shows that does not keep the work from going on."""
    lately = [run for run in reading.runs if run.began_seconds < SECONDS_TO_FORGET_A_HOST]
    # A host has one clock, whichever stages run there: the widest difference speaks for it.
    clocks: dict[str, float] = {}
    for run in lately:
        clocks[run.host] = max(clocks.get(run.host, 0.0), run.clock_difference, key=abs)
    for difference in clocks.values():
        if _is_wrong(difference):
            yield (
                f"The clock of one of the machines with workers is {_apart(difference)} the"
                " database's, so its stages rest: set it by a time server. Its log and the metrics"
                " name it."
            )
    for stage in STAGES:
        failing = [run for run in lately if run.stage == stage and _failed(run)]
        if failing:
            yield (
                f"The last run of the stage {stage} failed on {len(failing)} of the machines: the"
                " log of its worker says why."
            )


def _failed(run: HostRun) -> bool:
    return run.has_error and not _is_wrong(run.clock_difference)


def _is_wrong(difference: float) -> bool:
    return abs(difference) > MOST_SECONDS_APART


def _apart(difference: float) -> str:
    return f"{abs(difference):.1f} s {'ahead of' if difference > 0 else 'behind'}"
