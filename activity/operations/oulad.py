"""Bring runs of the OULAD dataset in, in bulk: COPY, INSERT, and the rebuild of the read models."""

import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import astuple, dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
from django.db import connection, transaction
from pyarrow import csv

from activity.models import Course, DueCause, Enrollment
from activity.operations.due import lock_due, pull_due
from activity.operations.read_models import rebuild_enrollments
from activity.oulad import files, mapping
from activity.oulad.files import OuladError

# Temporary tables live as long as the transaction of one run.
_STAGE = """
CREATE TEMP TABLE oulad_item (position int, key text, kind text, title text, parent text,
    assigned_on date, due_on date) ON COMMIT DROP;
CREATE TEMP TABLE oulad_roster (student int, traits jsonb, enrolled_at timestamptz,
    withdrew_at timestamptz, completed_at timestamptz) ON COMMIT DROP;
CREATE TEMP TABLE oulad_event (student int, item text, verb text, day int, at time, total int,
    score numeric(7, 6), source_id text) ON COMMIT DROP;
-- Sorting and joining a million clicks needs more than a web request is given.
SET LOCAL work_mem = '128MB';
SET LOCAL jit = off;
-- The planner knows nothing yet of the rows of this transaction: it takes the new learners for a
-- handful and reads them again for every click, which makes a minute of a second.
SET LOCAL enable_nestloop = off
"""
_END_OF_BULK = "SET LOCAL enable_nestloop = on"

_ITEMS = """
INSERT INTO activity_item (course_id, key, kind, title, parent_id, position, assigned_on, due_on,
    topic, difficulty, url)
SELECT %(course)s, staged.key, staged.kind, staged.title, parent.id, staged.position,
    staged.assigned_on, staged.due_on, '', '', ''
FROM oulad_item AS staged
LEFT JOIN activity_item AS parent ON parent.course_id = %(course)s AND parent.key = staged.parent
WHERE (staged.kind = 'module') = %(modules)s
ORDER BY staged.position
ON CONFLICT (course_id, key) DO NOTHING
"""

_LEARNERS = """
INSERT INTO activity_learner (external_id, name, time_zone, locale, traits)
SELECT 'oulad-' || student, '', '', '', traits FROM oulad_roster ORDER BY 1
ON CONFLICT (external_id) DO NOTHING
"""

_ENROLLMENTS = """
WITH fresh AS (
    INSERT INTO activity_enrollment (learner_id, course_id, unit_key, enrolled_at, withdrew_at,
        completed_at)
    SELECT learner.id, %(course)s, gen_random_uuid(), staged.enrolled_at, staged.withdrew_at,
        staged.completed_at
    FROM oulad_roster AS staged
    JOIN activity_learner AS learner ON learner.external_id = 'oulad-' || staged.student
    ORDER BY learner.id
    ON CONFLICT (course_id, learner_id) DO NOTHING
    RETURNING id
)
INSERT INTO activity_due (enrollment_id, due_at, cause, attempts, error)
SELECT id, %(now)s, 0, 0, '' FROM fresh ORDER BY id
"""

# In the order in which they are read later: an enrollment's events lie beside each other.
_EVENTS = """
INSERT INTO activity_event (enrollment_id, item_id, verb, occurred_at, received_at, count, score,
    passed, properties, source, source_id)
SELECT enrollment.id, item.id, staged.verb,
    (%(day0)s::date + staged.day + staged.at) AT TIME ZONE %(zone)s,
    %(now)s, staged.total, staged.score, staged.score >= %(pass_mark)s, '{}', %(source)s,
    staged.source_id
FROM oulad_event AS staged
JOIN activity_learner AS learner ON learner.external_id = 'oulad-' || staged.student
JOIN activity_enrollment AS enrollment
    ON enrollment.learner_id = learner.id AND enrollment.course_id = %(course)s
JOIN activity_item AS item ON item.course_id = %(course)s AND item.key = staged.item
ORDER BY enrollment.id, staged.day, staged.source_id
ON CONFLICT (source, source_id) DO NOTHING
"""

_STRANGERS = """
SELECT count(*) FROM oulad_event AS staged
WHERE NOT EXISTS (SELECT FROM oulad_roster AS roster WHERE roster.student = staged.student)
    OR NOT EXISTS (SELECT FROM oulad_item AS item WHERE item.key = staged.item)
"""


# How often a run calls `on_step`: reading, roster, events, read models.
STEPS = 4


@dataclass(frozen=True, slots=True)
class OuladSource:
    """Where the dataset lies and what of it is wanted.

    `until_day` leaves out the events after that day of each run. `day0` has every run begin on that
    date instead of its own.
    """

    folder: Path
    until_day: int | None = None
    day0: date | None = None


@dataclass(frozen=True, slots=True)
class ImportedRun:
    """What became of one run. `repeated` events were there already."""

    run: str
    enrollments: int
    new_enrollments: int
    events: int
    new_events: int


def import_oulad(
    source: OuladSource,
    runs: Sequence[str] | None,
    *,
    now: datetime,
    on_step: Callable[[str], None] = lambda step: None,
) -> Iterator[ImportedRun]:
    """Import the runs (None: all of them), each in a transaction of its own; yield each when done.

    What is there already stays as it is, so that a second import adds only what is missing. Calls
    `on_step` STEPS times a run. Raises OuladError; of the run at fault nothing lands.
    """
    tables = {name: files.read_table(source.folder, name) for name in files.TABLES}
    traits = mapping.latest_traits(tables["studentInfo"])
    lengths = mapping.runs_of(tables["courses"])
    wanted = [
        mapping.make_run(key, lengths, day0=source.day0)
        for key in (sorted(lengths) if runs is None else runs)
    ]
    for run in wanted:
        on_step(f"{run.key}: reading")
        content = _read(source, run, tables, traits)
        with transaction.atomic():
            yield _import_run(content, now=now, on_step=on_step)


def runs_in(folder: Path) -> list[str]:
    """Return the keys of all runs of the dataset."""
    return sorted(mapping.runs_of(files.read_table(folder, "courses")))


@dataclass(frozen=True, slots=True)
class _Content:
    """All of one run, as it is to be stored."""

    run: mapping.Run
    items: list[mapping.ItemRow]
    roster: list[mapping.RosterRow]
    events: pa.Table


def _read(
    source: OuladSource, run: mapping.Run, tables: dict[str, pa.Table], traits: dict[int, str]
) -> _Content:
    assessments, sites, registrations, infos = (
        files.of_run(tables[name], run.key)
        for name in ("assessments", "vle", "studentRegistration", "studentInfo")
    )
    items = mapping.item_rows(run, assessments, sites)
    clicks = mapping.click_events(run, files.read_clicks(source.folder, run.key), items)
    submitted = mapping.submission_events(run, tables["studentAssessment"], assessments)
    events = mapping.until(pa.concat_tables([clicks, submitted]), source.until_day)
    return _Content(run, items, mapping.roster_rows(run, registrations, infos, traits), events)


def _import_run(content: _Content, *, now: datetime, on_step: Callable[[str], None]) -> ImportedRun:
    run = content.run
    on_step(f"{run.key}: roster")
    course = _course(run)
    values: dict[str, Any] = {"course": course.pk, "now": now}
    with connection.cursor() as cursor:
        cursor.execute(_STAGE)
        _stage(cursor, content)
        for modules in (True, False):
            cursor.execute(_ITEMS, {**values, "modules": modules})
        cursor.execute(_LEARNERS)
        cursor.execute(_ENROLLMENTS, values)
        new_enrollments = cursor.rowcount
        on_step(f"{run.key}: events")
        ids = list(Enrollment.objects.filter(course=course).values_list("pk", flat=True))
        lock_due(ids)
        new_events = _store_events(cursor, course, now=now)
        cursor.execute(_END_OF_BULK)
    on_step(f"{run.key}: read models")
    if new_events:
        rebuild_enrollments(ids)
        pull_due(ids, at=now, cause=DueCause.EDIT)
    return ImportedRun(
        run.key, len(content.roster), new_enrollments, len(content.events), new_events
    )


def _course(run: mapping.Run) -> Course:
    values = {
        "title": run.key.replace("_", " "),
        "time_zone": mapping.ZONE,
        "starts_on": run.starts_on,
        "ends_on": run.ends_on,
        "pass_mark": mapping.PASS_MARK,
    }
    course, _ = Course.objects.get_or_create(key=run.key, defaults=values)
    # Whoever imports the same run at the same time waits here.
    course = Course.objects.select_for_update(no_key=True).get(pk=course.pk)
    if course.starts_on != run.starts_on:
        raise OuladError(
            f"The course {run.key} is already there and begins on {course.starts_on}, not on"
            f" {run.starts_on}."
        )
    return course


def _stage(cursor: Any, content: _Content) -> None:
    _copy(cursor, "oulad_item", ((n, *astuple(row)) for n, row in enumerate(content.items)))
    _copy(cursor, "oulad_roster", (astuple(row) for row in content.roster))
    packed = io.BytesIO()
    csv.write_csv(content.events, packed, csv.WriteOptions(include_header=False))
    with cursor.copy("COPY oulad_event FROM STDIN (FORMAT csv)") as copy:
        copy.write(packed.getbuffer())
    cursor.execute("ANALYZE oulad_item, oulad_roster, oulad_event")
    cursor.execute(_STRANGERS)
    ((strangers,),) = cursor.fetchall()
    if strangers:
        raise OuladError(
            f"{strangers:,} events of {content.run.key} name a learner or a site that is not in it."
        )


def _copy(cursor: Any, table: str, rows: Iterable[tuple[Any, ...]]) -> None:
    with cursor.copy(f"COPY {table} FROM STDIN") as copy:
        for row in rows:
            copy.write_row(row)


def _store_events(cursor: Any, course: Course, *, now: datetime) -> int:
    values = {
        "course": course.pk,
        "day0": course.starts_on,
        "zone": course.time_zone,
        "pass_mark": course.pass_mark,
        "source": mapping.SOURCE,
        "now": now,
    }
    cursor.execute(_EVENTS, values)
    return int(cursor.rowcount)
