"""Import runs of the dataset, each in one transaction, so that a kill leaves no partial run."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from pathlib import Path

from django.db import DataError, IntegrityError, connection, transaction

from activity.importing.oulad.course import day_0_of, items_of, length_of
from activity.importing.oulad.events import match_enrollments, store_events
from activity.importing.oulad.files import (
    OuladError,
    OuladFolder,
    open_folder,
    read_roster_sizes,
    read_runs,
)
from activity.importing.oulad.roster import (
    StoredRoster,
    store_course,
    store_items,
    store_people,
)
from activity.importing.oulad.staging import stage
from activity.models import Course, DueCause
from activity.operations.due import lock_due, pull_due
from activity.operations.read_models import rebuild_enrollments

# Small batches, for two reasons: they move the progress bar, and the statements that build the read
# models of a whole run at once take several times as long.
BATCH_SIZE = 100

_ROSTER = "activity_course, activity_item, activity_learner, activity_enrollment, activity_due"
_LOG = "activity_event, activity_dailyactivity, activity_progress"


@dataclass(frozen=True, slots=True)
class RunImport:
    """Counts of the new rows of one run."""

    run: str
    items: int
    learners: int
    enrollments: int
    events: int

    @property
    def is_empty(self) -> bool:
        """Return whether everything was imported already."""
        return not (self.items or self.learners or self.enrollments or self.events)


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """The instant of the import, and the part of the runs to import.

    `day0` replaces the first day of all runs. Events after `until_day` are left out.
    """

    now: datetime
    day0: date | None = None
    until_day: int | None = None


@dataclass(frozen=True, slots=True)
class _Importer:
    folder: OuladFolder
    options: ImportOptions
    on_progress: Callable[[str, int], object]

    def run(self, run: str, later: Sequence[str]) -> RunImport:
        """Import the run in one transaction."""
        self.on_progress(run, 0)
        try:
            with transaction.atomic():
                imported = self._store(run, later)
        except (IntegrityError, DataError) as error:
            reason = str(error).splitlines()[0]
            raise OuladError(f"Run {run} holds a value that cannot be stored: {reason}.") from None
        return imported

    def _store(self, run: str, later: Sequence[str]) -> RunImport:
        stage(self.folder, run, until_day=self.options.until_day)
        _keep_statistics()
        day_0 = self.options.day0 or day_0_of(run)
        course = store_course(run, day_0=day_0, length=length_of(self.folder, run))
        items = store_items(course, items_of(self.folder, run), day_0=day_0)
        people = store_people(course, later, now=self.options.now)
        events = self._store_log(course, replace(people, items=items))
        imported = RunImport(run, items, people.learners, people.enrollments, events)
        # Before the commit, while this import holds the lock: the next import would hold it until
        # its own end.
        if not imported.is_empty:
            _analyze(_ROSTER, _LOG)
        return imported

    def _store_log(self, course: Course, roster: StoredRoster) -> int:
        _analyze(_ROSTER)
        enrolled = list(course.enrollments.order_by("pk").values_list("pk", flat=True))
        lock_due([*enrolled, *roster.concerned])
        events = self._store_events(course)
        concerned = [*roster.concerned, *(enrolled if events or roster.items else ())]
        # With the cause edit, not event: the import of a history must not start messages.
        pull_due(concerned, at=self.options.now, cause=DueCause.EDIT)
        return events

    def _store_events(self, course: Course) -> int:
        total = 0
        ids = match_enrollments(course)
        analyzed = 0
        for start in range(0, len(ids), BATCH_SIZE):
            part = ids[start : start + BATCH_SIZE]
            stored = store_events(course, part, now=self.options.now)
            total += stored
            # When the size of the log has doubled, its statistics are out of date.
            if total > 2 * analyzed:
                _analyze(_LOG)
                analyzed = total
            if stored:
                rebuild_enrollments(part)
            self.on_progress(course.key, len(part))
        return total


def known_runs(path: Path) -> list[str]:
    """Return the sorted names of the runs in the folder. Raise OuladError that names the fault."""
    if not path.is_dir():
        raise OuladError(f"The folder {path} is missing.")
    return read_runs(path)


def count_enrollments(path: Path, runs: Sequence[str]) -> int:
    """Return the number of enrollments of the runs in the folder. An unknown run has none.

    Raise OuladError that names a faulty file.
    """
    sizes = read_roster_sizes(path)
    return sum(sizes.get(run, 0) for run in runs)


def import_runs(
    path: Path,
    *,
    runs: Sequence[str] | None,
    options: ImportOptions,
    on_progress: Callable[[str, int], object] = lambda run, count: None,
) -> Iterator[RunImport]:
    """Import the runs (None: all) from the folder, and yield each one after its commit.

    Rows that exist already are not changed, so a second import adds nothing. `on_progress` is
    called with the run when it begins, and then with the number of enrollments whose events were
    stored since the last call. Raise OuladError with a sentence. Nothing of the faulty run is
    stored, and the runs before it stay imported.
    """
    known = known_runs(path)
    wanted = known if runs is None else list(dict.fromkeys(runs))
    importer: _Importer | None = None
    for run in wanted:
        if run not in known:
            raise OuladError(f"Run {run!r} is unknown; the runs are {', '.join(known)}.")
        importer = importer or _Importer(
            open_folder(path, [run for run in wanted if run in known]), options, on_progress
        )
        yield importer.run(run, later_runs(run, known))


def later_runs(run: str, known: Sequence[str]) -> list[str]:
    """Return the runs after this one, ordered by presentation and then by module."""
    order = sorted(known, key=lambda name: name.split("_")[::-1])
    return order[order.index(run) + 1 :]


def _keep_statistics() -> None:
    # An ANALYZE of another session, such as autovacuum's, does not see uncommitted rows. It would
    # record the tables as empty, and the rest of the import would be planned for empty tables. The
    # lock is taken before any row lock, so that two imports at once wait for each other.
    with connection.cursor() as cursor:
        cursor.execute(f"LOCK TABLE {_ROSTER}, {_LOG} IN SHARE UPDATE EXCLUSIVE MODE")


def _analyze(*tables: str) -> None:
    # Without new statistics, statements take minutes instead of seconds.
    with connection.cursor() as cursor:
        cursor.execute(f"ANALYZE {', '.join(tables)}")
