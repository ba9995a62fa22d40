"""What a run of the dataset means in our words: its days, items, roster and events. Pure."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
from pyarrow import compute

from activity.oulad.files import OuladError

ZONE = "Europe/London"
PASS_MARK = "0.40"  # noqa: S105 a share of the points
SOURCE = "oulad"
# The dataset knows days only as numbers; its paper says in which month a presentation begins.
FIRST_DAYS = {
    "2013B": date(2013, 2, 1),
    "2013J": date(2013, 10, 1),
    "2014B": date(2014, 2, 1),
    "2014J": date(2014, 10, 1),
}
PAGES = frozenset(
    {"oucontent", "page", "subpage", "htmlactivity", "quiz", "externalquiz", "questionnaire"}
    | {"sharedsubpage", "dualpane", "homepage"}
)
RESOURCES = frozenset({"resource", "url", "folder"})
DISCUSSIONS = frozenset({"forumng", "ouwiki", "oucollaborate", "ouelluminate"})
COMPLETED = frozenset({"Pass", "Distinction"})
TRAITS = (
    "gender",
    "region",
    "highest_education",
    "imd_band",
    "age_band",
    "num_of_prev_attempts",
    "studied_credits",
    "disability",
)
MIDNIGHT = time(0)
NOON = time(12)
AFTER_NOON = time(13)
LAST_MINUTE = time(23, 59)

EVENT_COLUMNS = {
    "id_student": pa.int32(),
    "item": pa.string(),
    "verb": pa.string(),
    "day": pa.int32(),
    "at": pa.time32("s"),
    "total": pa.int32(),
    "score": pa.float64(),
    "source_id": pa.string(),
}


@dataclass(frozen=True, slots=True)
class Run:
    """A course run: its key, such as AAA_2013J, its first day and its length in days."""

    key: str
    starts_on: date
    length: int

    @property
    def ends_on(self) -> date:
        """Return the last day."""
        return self.day(self.length)

    def day(self, number: int) -> date:
        """Return the date of a day of the run; day 0 is the first."""
        return self.starts_on + timedelta(days=number)

    def instant(self, number: int, at: time) -> datetime:
        """Return the instant at the local time of a day of the run."""
        return datetime.combine(self.day(number), at, tzinfo=ZoneInfo(ZONE))


@dataclass(frozen=True, slots=True)
class ItemRow:
    """An item to be: the keys of itself and its module, and its dates."""

    key: str
    kind: str
    title: str
    parent: str | None = None
    assigned_on: date | None = None
    due_on: date | None = None


@dataclass(frozen=True, slots=True)
class RosterRow:
    """A learner to be, and the enrollment."""

    student: int
    traits: str
    enrolled_at: datetime
    withdrew_at: datetime | None
    completed_at: datetime | None


def runs_of(courses: pa.Table) -> dict[str, int]:
    """Return the length in days of every run, by its key."""
    rows = courses.to_pylist()
    return {
        f"{row['code_module']}_{row['code_presentation']}": row["module_presentation_length"]
        for row in rows
    }


def make_run(key: str, lengths: dict[str, int], *, day0: date | None = None) -> Run:
    """Return the run, beginning on `day0` or when it did. Raise OuladError if there is none."""
    if key not in lengths:
        raise OuladError(f"There is no run {key!r}; there are {', '.join(sorted(lengths))}.")
    first_day = day0 or FIRST_DAYS.get(key.split("_", 1)[1])
    if first_day is None:
        raise OuladError(f"Nobody knows on which day the run {key} began.")
    return Run(key, first_day, lengths[key])


def site_kind(activity_type: str) -> str:
    """Return the kind of item that a site of this activity type is."""
    if activity_type in PAGES:
        return "page"
    if activity_type in RESOURCES:
        return "resource"
    return "discussion" if activity_type in DISCUSSIONS else "other"


def item_rows(run: Run, assessments: pa.Table, sites: pa.Table) -> list[ItemRow]:
    """Return the run's items, every module before the items inside it."""
    dated, undated = _by_due_day(assessments)
    units = _units(run, dated)
    inside = [
        replace(_assessment(row), parent=unit.key, assigned_on=unit.assigned_on, due_on=unit.due_on)
        for row, unit in zip(dated, units, strict=True)
    ]
    outside = [_assessment(row) for row in undated]
    return [*units, *inside, *outside, *_site_rows(sites, dated)]


def roster_rows(
    run: Run, registrations: pa.Table, infos: pa.Table, traits: dict[int, str]
) -> list[RosterRow]:
    """Return the run's roster; `traits` are all learners' from `latest_traits`."""
    results = {row["id_student"]: row["final_result"] for row in infos.to_pylist()}
    return [
        _roster_row(run, row, traits[row["id_student"]], results[row["id_student"]])
        for row in registrations.to_pylist()
    ]


def latest_traits(infos: pa.Table) -> dict[int, str]:
    """Return every learner's traits as JSON, from the latest of their runs.

    Of the latest in the whole dataset, so that the order of the imports does not matter.
    """
    rows = sorted(infos.to_pylist(), key=lambda row: (row["code_presentation"], row["code_module"]))
    return {row["id_student"]: _traits(row) for row in rows}


def click_events(run: Run, clicks: pa.Table, items: Sequence[ItemRow]) -> pa.Table:
    """Return an event for each student, site and day with its clicks summed, as EVENT_COLUMNS."""
    summed = clicks.group_by(["id_student", "id_site", "date"]).aggregate([("sum_click", "sum")])
    item = _joined("site-", summed["id_site"])
    resources = pa.array([row.key for row in items if row.kind == "resource"], pa.string())
    is_resource = compute.is_in(item, value_set=resources)
    parts = (f"vle:{run.key}:", summed["id_student"], ":", summed["id_site"], ":", summed["date"])
    return _events(
        id_student=summed["id_student"],
        item=item,
        verb=compute.if_else(is_resource, "DOWNLOAD_RESOURCE", "VIEW_ITEM"),
        day=summed["date"],
        at=pa.repeat(pa.scalar(NOON, pa.time32("s")), len(summed)),
        total=summed["sum_click_sum"].cast(pa.int32()),
        score=pa.nulls(len(summed), pa.float64()),
        source_id=_joined(*parts),
    )


def submission_events(run: Run, submissions: pa.Table, assessments: pa.Table) -> pa.Table:
    """Return two events for each submission of the run, as EVENT_COLUMNS: it, and its unit done.

    Banked submissions are left out: they were made in an earlier run.
    """
    own = compute.is_in(submissions["id_assessment"], value_set=_ids(assessments))
    made = submissions.filter(compute.and_(own, compute.equal(submissions["is_banked"], 0)))
    quizzes = _ids(assessments.filter(compute.equal(assessments["assessment_type"], "CMA")))
    is_quiz = compute.is_in(made["id_assessment"], value_set=quizzes)
    acts = _submission_columns(run, made, "assessment", "submission") | {
        "verb": compute.if_else(is_quiz, "ATTEMPT_QUIZ", "SUBMIT_ASSIGNMENT"),
        "score": compute.divide(made["score"], 100.0),
    }
    in_unit = compute.is_in(
        made["id_assessment"], value_set=_ids(assessments.filter(assessments["date"].is_valid()))
    )
    done = _submission_columns(run, made.filter(in_unit), "unit", "unit")
    return pa.concat_tables([_events(**acts), _events(**done)])


def until(events: pa.Table, day: int | None) -> pa.Table:
    """Return the events up to the day of the run, itself included; all of them for None."""
    return events if day is None else events.filter(compute.less_equal(events["day"], day))


def _submission_columns(run: Run, made: pa.Table, item: str, source: str) -> dict[str, Any]:
    number = len(made)
    parts = (f"{source}:{run.key}:", made["id_student"], ":", made["id_assessment"])
    return {
        "id_student": made["id_student"],
        "item": _joined(f"{item}-", made["id_assessment"]),
        "verb": pa.repeat("COMPLETE_MODULE", number),
        "day": made["date_submitted"],
        "at": pa.repeat(pa.scalar(AFTER_NOON, pa.time32("s")), number),
        "total": pa.repeat(pa.scalar(1, pa.int32()), number),
        "score": pa.nulls(number, pa.float64()),
        "source_id": _joined(*parts),
    }


def _events(**columns: Any) -> pa.Table:
    ordered = {name: columns[name] for name in EVENT_COLUMNS}
    return pa.table(ordered, schema=pa.schema(EVENT_COLUMNS))


def _joined(*parts: Any) -> Any:
    texts = [part if isinstance(part, str) else part.cast(pa.string()) for part in parts]
    return compute.binary_join_element_wise(*texts, "")


def _ids(assessments: pa.Table) -> Any:
    return assessments["id_assessment"].combine_chunks()


def _by_due_day(assessments: pa.Table) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    rows = sorted(assessments.to_pylist(), key=lambda row: row["id_assessment"])
    dated = [row for row in rows if row["date"] is not None]
    dated.sort(key=lambda row: row["date"])
    return dated, [row for row in rows if row["date"] is None]


def _units(run: Run, dated: Sequence[dict[str, Any]]) -> list[ItemRow]:
    units = []
    for number, row in enumerate(dated):
        earlier = [other["date"] for other in dated if other["date"] < row["date"]]
        unit = ItemRow(
            key=f"unit-{row['id_assessment']}",
            kind="module",
            title=f"Unit {number + 1}",
            assigned_on=run.day(max(earlier) + 1 if earlier else 0),
            due_on=run.day(row["date"]),
        )
        units.append(unit)
    return units


def _assessment(row: dict[str, Any]) -> ItemRow:
    return ItemRow(
        key=f"assessment-{row['id_assessment']}",
        kind="quiz" if row["assessment_type"] == "CMA" else "assignment",
        title=f"{row['assessment_type']} {row['id_assessment']}",
    )


def _site_rows(sites: pa.Table, dated: Sequence[dict[str, Any]]) -> Iterable[ItemRow]:
    for row in sorted(sites.to_pylist(), key=lambda row: row["id_site"]):
        yield ItemRow(
            key=f"site-{row['id_site']}",
            kind=site_kind(row["activity_type"]),
            title=f"{row['activity_type']} {row['id_site']}",
            parent=_unit_of_week(dated, row["week_from"]),
        )


def _unit_of_week(dated: Sequence[dict[str, Any]], week: int | None) -> str | None:
    if week is None:
        return None
    units = (f"unit-{row['id_assessment']}" for row in dated if row["date"] >= 7 * week)
    return next(units, None)


def _traits(info: dict[str, Any]) -> str:
    known = {name: info[name] for name in TRAITS if info[name] is not None}
    band = known.get("imd_band")
    if band and not band.endswith("%"):
        # One band of the file is written without the sign that all others have.
        known["imd_band"] = f"{band}%"
    return json.dumps(known, sort_keys=True)


def _roster_row(run: Run, registration: dict[str, Any], traits: str, result: str) -> RosterRow:
    registered_on = registration["date_registration"]
    withdrew_on = registration["date_unregistration"]
    return RosterRow(
        student=registration["id_student"],
        traits=traits,
        enrolled_at=run.instant(0 if registered_on is None else registered_on, MIDNIGHT),
        withdrew_at=None if withdrew_on is None else run.instant(withdrew_on, MIDNIGHT),
        completed_at=run.instant(run.length, LAST_MINUTE) if result in COMPLETED else None,
    )
