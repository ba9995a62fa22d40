"""Map a run to a course and its items. Pure; days count from the run's day 0."""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from activity.importing.oulad.files import OuladError, OuladFolder, of_run
from activity.models import ItemKind

ZONE = "Europe/London"
PASS_MARK = "0.40"  # noqa: S105

# The dataset has no calendar dates. If the first Saturday of the month is the first day, the most
# common due day is a Thursday in all four presentations, and clicks have the same weekly pattern.
DAY_0 = {
    "2013B": date(2013, 2, 2),
    "2013J": date(2013, 10, 5),
    "2014B": date(2014, 2, 1),
    "2014J": date(2014, 10, 4),
}

_SITE_KINDS = {
    ItemKind.PAGE: "oucontent page subpage htmlactivity quiz externalquiz questionnaire"
    " sharedsubpage dualpane homepage",
    ItemKind.RESOURCE: "resource url folder",
    ItemKind.DISCUSSION: "forumng ouwiki oucollaborate ouelluminate",
}
KIND_OF_SITE = {name: kind for kind, names in _SITE_KINDS.items() for name in names.split()}


@dataclass(frozen=True, slots=True)
class Unit:
    """A dated assessment: a module with one item."""

    assessment: int
    type: str
    assigned_on: int
    due_on: int

    @property
    def key(self) -> str:
        """Return the key of the module."""
        return f"unit-{self.assessment}"


@dataclass(frozen=True, slots=True)
class OuladItem:
    """An item of the course. `parent` is a module's key; days count from day 0."""

    key: str
    kind: ItemKind
    title: str
    parent: str | None = None
    assigned_on: int | None = None
    due_on: int | None = None


def day_0_of(run: str) -> date:
    """Return the calendar day on which the run begins. Raise OuladError if none is known."""
    presentation = run.split("_")[1]
    if presentation not in DAY_0:
        raise OuladError(f"Run {run}: the first day of presentation {presentation} is unknown.")
    return DAY_0[presentation]


def length_of(folder: OuladFolder, run: str) -> int:
    """Return the day on which the run ends."""
    (course,) = of_run(folder.tables["courses"], run).to_pylist()
    return int(course["module_presentation_length"])


def items_of(folder: OuladFolder, run: str) -> list[OuladItem]:
    """Return the modules, then assessments, then sites of the run, each in its order."""
    assessments = of_run(folder.tables["assessments"], run).to_pylist()
    units = units_of(assessments)
    undated = sorted(
        (row["id_assessment"], row["assessment_type"]) for row in assessments if row["date"] is None
    )
    sites = of_run(folder.tables["vle"], run).sort_by("id_site").to_pylist()
    return [
        *(_module(number, unit) for number, unit in enumerate(units, start=1)),
        *(_dated(unit) for unit in units),
        *(_assessment(number, type_) for number, type_ in undated),
        *(_site(row, units) for row in sites),
    ]


def units_of(assessments: Sequence[dict[str, Any]]) -> list[Unit]:
    """Return the dated assessments by due day, then id.

    A unit is assigned on the day after the latest earlier due day, the first on the course start.
    """
    dated = sorted(
        (row["date"], row["id_assessment"], row["assessment_type"])
        for row in assessments
        if row["date"] is not None
    )
    due_days = [due_on for due_on, _, _ in dated]
    units = []
    for due_on, number, type_ in dated:
        # Units due on the same day are assigned together: only a strictly earlier due day counts.
        earlier = bisect_left(due_days, due_on)
        assigned_on = due_days[earlier - 1] + 1 if earlier else 0
        units.append(Unit(number, type_, assigned_on, due_on))
    return units


def unit_of_site(week_from: int | None, units: Sequence[Unit]) -> str | None:
    """Return the key of the first unit due on or after the day the site's week begins."""
    if week_from is None:
        return None
    position = bisect_left([unit.due_on for unit in units], 7 * week_from)
    return units[position].key if position < len(units) else None


def _module(number: int, unit: Unit) -> OuladItem:
    title = f"Unit {number}"
    return OuladItem(unit.key, ItemKind.MODULE, title, None, unit.assigned_on, unit.due_on)


def _dated(unit: Unit) -> OuladItem:
    item = _assessment(unit.assessment, unit.type)
    return OuladItem(item.key, item.kind, item.title, unit.key, unit.assigned_on, unit.due_on)


def _assessment(number: int, type_: str) -> OuladItem:
    kind = ItemKind.QUIZ if type_ == "CMA" else ItemKind.ASSIGNMENT
    return OuladItem(f"assessment-{number}", kind, f"{type_} {number}")


def _site(row: dict[str, Any], units: Sequence[Unit]) -> OuladItem:
    number, type_ = row["id_site"], row["activity_type"]
    kind = KIND_OF_SITE.get(type_, ItemKind.OTHER)
    return OuladItem(
        f"site-{number}", kind, f"{type_} {number}", unit_of_site(row["week_from"], units)
    )
