"""Import runs of the dataset, each in one transaction, so that a kill leaves nothing half done."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from pathlib import Path

from django.db import DataError, IntegrityError, connection, transaction

from activity.importing.oulad.course import day_0_of, items_of, length_of
from activity.importing.oulad.events import store_events
from activity.importing.oulad.files import OuladError, OuladFolder, open_folder, read_runs
from activity.importing.oulad.roster import (
    StoredRoster,
    store_course,
    store_items,
    store_people,
)
from activity.importing.oulad.staging import stage
from activity.models import Course, DueCause, Enrollment
from activity.operations.due import lock_due, pull_due
from activity.operations.read_models import rebuild_enrollments

CHUNK = 2_000

_TOUCHED = (
    "activity_course, activity_item, activity_learner, activity_enrollment, activity_due,"
    " activity_event, activity_dailyactivity, activity_progress"
)


@dataclass(frozen=True, slots=True)
class RunImport:
    """What one run brought that was new."""

    run: str
    items: int
    learners: int
    enrollments: int
    events: int

    @property
    def is_empty(self) -> bool:
        """Return whether everything was there already."""
        return not (self.items or self.learners or self.enrollments or self.events)


@dataclass(frozen=True, slots=True)
class _Options:
    now: datetime
    day0: date | None
    until_day: int | None


def known_runs(path: Path) -> list[str]:
    """Return the runs that the folder knows, sorted. Raise OuladError naming a file at fault."""
    if not path.is_dir():
        raise OuladError(f"The folder {path} is missing.")
    return read_runs(path)


def import_runs(
    path: Path,
    *,
    runs: Sequence[str] | None,
    now: datetime,
    day0: date | None = None,
    until_day: int | None = None,
) -> Iterator[RunImport]:
    """Import the runs (None: all) from the folder, yielding each when it is committed.

    What is stored already is left as it is, so running it again imports nothing twice. `day0` moves
    all runs to one first day in place of their own; events after `until_day` are left out. Raises
    OuladError with a sentence; of the run at fault nothing lands, and the runs before it stay.
    """
    known = known_runs(path)
    wanted = known if runs is None else list(dict.fromkeys(runs))
    options = _Options(now, day0, until_day)
    folder: OuladFolder | None = None
    for run in wanted:
        if run not in known:
            raise OuladError(f"Run {run!r} is unknown; the runs are {', '.join(known)}.")
        folder = folder or open_folder(path, [run for run in wanted if run in known])
        yield _import_run(folder, run, later_runs(run, known), options)


def later_runs(run: str, known: Sequence[str]) -> list[str]:
    """Return the runs after this one: by presentation, and by module within the same."""
    order = sorted(known, key=lambda name: name.split("_")[::-1])
    return order[order.index(run) + 1 :]


def _import_run(
    folder: OuladFolder, run: str, later: Sequence[str], options: _Options
) -> RunImport:
    try:
        with transaction.atomic():
            imported = _store_run(folder, run, later, options)
    except (IntegrityError, DataError) as error:
        reason = str(error).splitlines()[0]
        raise OuladError(f"Run {run} holds a value that cannot be stored: {reason}.") from None
    if not imported.is_empty:
        _analyze()
    return imported


def _store_run(folder: OuladFolder, run: str, later: Sequence[str], options: _Options) -> RunImport:
    stage(folder, run, until_day=options.until_day)
    day_0 = options.day0 or day_0_of(run)
    course = store_course(run, day_0=day_0, length=length_of(folder, run))
    items = store_items(course, items_of(folder, run), day_0=day_0)
    stored = replace(store_people(course, later, now=options.now), items=items)
    events = _store_log(course, stored, now=options.now)
    return RunImport(run, items, stored.learners, stored.enrollments, events)


def _store_log(course: Course, roster: StoredRoster, *, now: datetime) -> int:
    enrolled = Enrollment.objects.filter(course=course).order_by("pk")
    ids = list(enrolled.values_list("pk", flat=True))
    lock_due([*ids, *roster.concerned])
    events = store_events(course, now=now)
    if events:
        for start in range(0, len(ids), CHUNK):
            rebuild_enrollments(ids[start : start + CHUNK])
    concerned = [*roster.concerned, *(ids if events or roster.items else ())]
    # An edit, not an event: what a whole history brings must not start a message to anybody.
    pull_due(concerned, at=now, cause=DueCause.EDIT)
    return events


def _analyze() -> None:
    # Readings planned for the tables as they were before take minutes in place of seconds.
    with connection.cursor() as cursor:
        cursor.execute(f"ANALYZE {_TOUCHED}")
