"""Faults of the installation, as public sentences that name no server and no person."""

from collections.abc import Iterator
from dataclasses import dataclass

from config.health.reading import HostRun, Reading
from config.running.stages import MOST_SECONDS_APART
from config.running.workers import STAGES

# The beat starts each stage every five seconds, and a run takes at most half a minute.
MOST_SECONDS_SINCE_A_RUN = 60.0
# A host without a run for this time is no longer reported.
SECONDS_TO_FORGET_A_HOST = 600.0

DATABASE, BROKER, CLOCK = "database", "broker", "clock"


@dataclass(frozen=True)
class Fault:
    """A fault of one part, in a sentence that says what to do."""

    part: str
    sentence: str


@dataclass(frozen=True)
class Health:
    """The health of the installation. `reading` is None if the database cannot be read.

    It is red if there are `faults`. `remarks` name problems that do not stop the work.
    """

    faults: tuple[Fault, ...]
    remarks: tuple[str, ...] = ()
    reading: Reading | None = None

    @property
    def is_red(self) -> bool:
        """Return whether somebody must act at once."""
        return bool(self.faults)

    def is_well(self, part: str) -> bool:
        """Return whether the part has no fault."""
        return all(fault.part != part for fault in self.faults)


NO_DATABASE = Fault(
    DATABASE,
    "The database does not answer. Start PostgreSQL, or correct DATABASE_URL. See the log of the"
    " web server for details.",
)
SLOW_DATABASE = Fault(
    DATABASE,
    "The database answers too slowly. Find out what keeps it busy, such as a migration or a full"
    " disk.",
)
OTHER_SCHEMA = Fault(
    DATABASE,
    "The tables in the database belong to another version. Run manage.py migrate.",
)
NO_BROKER = Fault(
    BROKER,
    "Redis or Valkey does not answer. Start it, or correct REDIS_URL. Nothing is lost, because all"
    " waiting work is in the database. See the log of the web server for details.",
)


def faults_of(
    reading: Reading, *, most_seconds: float = MOST_SECONDS_SINCE_A_RUN
) -> Iterator[Fault]:
    """Yield the faults in the reading. A stage may be silent for `most_seconds`."""
    if abs(reading.clock_difference) > MOST_SECONDS_APART:
        yield Fault(
            CLOCK,
            f"The clock of the web server's machine is {_apart(reading.clock_difference)} the"
            " database's: set both by a time server.",
        )
    for stage, age in reading.stages.items():
        if age is None:
            yield Fault(stage, f"The stage {stage} has never finished a run. {_ADVICE}")
        elif age > most_seconds:
            yield Fault(
                stage, f"The stage {stage} has not finished a run for {age:.0f} s. {_ADVICE}"
            )


_ADVICE = "Check that its worker and the beat run, and read their logs."


def remarks_of(reading: Reading) -> Iterator[str]:
    """Yield the problems in the reading that do not stop the work."""
    yield from _feeds(reading.held_feeds)
    lately = [run for run in reading.runs if run.began_seconds < SECONDS_TO_FORGET_A_HOST]
    # A host has one clock for all its stages, so the largest difference counts.
    clocks: dict[str, float] = {}
    for run in lately:
        clocks[run.host] = max(clocks.get(run.host, 0.0), run.clock_difference, key=abs)
    for difference in clocks.values():
        if _is_wrong(difference):
            yield (
                f"The clock of a machine with workers is {_apart(difference)} the database's, so"
                " its stages do not run. Synchronize it with a time server. The machine is named in"
                " its log and in the metrics."
            )
    for stage in STAGES:
        failing = [run for run in lately if run.stage == stage and _failed(run)]
        if failing:
            yield (
                f"The last run of the stage {stage} failed on {len(failing)} of the machines. See"
                " the log of its worker for the reason."
            )


def _feeds(number: int) -> Iterator[str]:
    if number:
        courses = "1 course" if number == 1 else f"{number:,} courses"
        yield (
            f"The events of {courses} do not come as usual, so messages wait. The pages of the "
            "courses say what is unusual."
        )


def _failed(run: HostRun) -> bool:
    return run.has_error and not _is_wrong(run.clock_difference)


def _is_wrong(difference: float) -> bool:
    return abs(difference) > MOST_SECONDS_APART


def _apart(difference: float) -> str:
    return f"{abs(difference):.1f} s {'ahead of' if difference > 0 else 'behind'}"
