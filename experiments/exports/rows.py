"""The rows of an experiment as lines of a file, one row per learner drawn, and the codebook. Pure.

No cell names a learner. Sections, strata and days are shown only where they single nobody out.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from common.spreadsheets import csv_lines
from experiments.exports.cells import Cell, form_of, names_of
from experiments.exports.hiding import Place, Shown
from experiments.exports.plan import Plan
from experiments.metrics.definitions import Metric
from experiments.reporting.small_cells import FEWEST
from experiments.reporting.text import hours_text

LEFT, REACHED, ANCHORED = "left", "reached", "from_message"
_HIDDEN = f"hidden, as fewer than {FEWEST} learners of an arm share it"
_STRATUM = (
    "a number of the stratum within which the draw was balanced; where sections were drawn, of the "
    "block of sections of similar size"
)
_BEGINNING = (
    ("unit", "the number of the row; it says nothing about the learner", "number", ""),
    ("arm", "the key of the arm that was drawn", "text", ""),
    ("is_control", "1 in the control, else 0", "0 or 1", ""),
    ("drawn_on", "the local day of the draw", "day", _HIDDEN),
    ("section", "a number of the section, the largest first", "number",
     f"no section, or {_HIDDEN}"),
    ("stratum", _STRATUM, "number", f"not drawn within strata, or {_HIDDEN}"),
)  # fmt: skip
_OF_ADAPTIVE = (
    ("period", "the number of the period of constant shares in which the learner was drawn, from 1",
     "number", _HIDDEN),
    ("share", "the share by which the arm was drawn: the chance of the learner to get it", "0 to 1",
     _HIDDEN),
)  # fmt: skip
CODEBOOK_COLUMNS = (
    "column", "outcome", "role", "kind", "window_hours", "better", "name", "meaning", "unit",
    "missing",
)  # fmt: skip


@dataclass(frozen=True)
class Row:
    """An assignment: its place, and its numbers in each outcome of the plan.

    An outcome that is not counted yet has None. `anchored` are the numbers of the primary outcome
    from the first message or ghost on; None without one, or before the end of that window.
    """

    place: Place
    numbers: Sequence[Sequence[Any] | None]
    anchored: Sequence[Any] | None = None


# An outcome of an arm, by the place of the metric among all that are read, and the arm.
Hidden = frozenset[tuple[int, str]]


def row_lines(
    rows: Iterable[Row], *, plan: Plan, shown: Shown, control: str, hidden: Hidden = frozenset()
) -> Iterator[str]:
    """Return the lines of the file: a header, and a line per row, numbered from 1.

    The outcomes in `hidden` are empty: too few learners of the arm are counted in them.
    """
    header = [entry[0] for entry in codebook(plan)]
    lines = (
        _line(unit, _without(row, hidden), plan, shown, control)
        for unit, row in enumerate(rows, start=1)
    )
    return csv_lines(chain((header,), lines))


def _without(row: Row, hidden: Hidden) -> Row:
    if not hidden:
        return row
    arm, last = row.place.arm, len(row.numbers)
    numbers = tuple(
        None if (place, arm) in hidden else each for place, each in enumerate(row.numbers)
    )
    return Row(row.place, numbers, None if (last, arm) in hidden else row.anchored)


def _line(unit: int, row: Row, plan: Plan, shown: Shown, control: str) -> list[str]:
    arm = row.place.arm
    section, part, day = shown.texts(row.place)
    drawn = ["", part, shown.share(row.place)] if plan.is_adaptive else [part]
    return [str(unit), arm, str(int(arm == control)), day, section, *drawn, *_cells(row, plan)]


def _cells(row: Row, plan: Plan) -> Iterator[str]:
    for metric, numbers in zip(plan.outcomes, row.numbers, strict=False):
        yield from _texts(metric, numbers)
    # The last number of each is that of the column beside the primary outcome.
    for numbers in row.numbers[len(plan.outcomes) :]:
        yield "" if numbers is None else str(numbers[-1])
    if plan.is_anchored:
        yield from _texts(plan.primary, row.anchored)


def _texts(metric: Metric, numbers: Sequence[Any] | None) -> tuple[str, ...]:
    form = form_of(metric)
    return form.blank if numbers is None else form.texts(metric.outcome, numbers)


def codebook(plan: Plan) -> Iterator[tuple[str, ...]]:
    """Yield the entry of each column of the rows in their order, under CODEBOOK_COLUMNS."""
    own = _OF_ADAPTIVE if plan.is_adaptive else ()
    for name, meaning, unit, missing in (*_BEGINNING, *own):
        yield (name, "", "", "", "", "", "", meaning, unit, missing)
    for metric in plan.outcomes:
        role = "guardrail" if metric in plan.guardrails else "outcome"
        yield from _entries(metric, "primary" if metric == plan.primary else role)
    for beside, name, meaning in (
        (plan.left, LEFT, "1 if the learner left the course within the window, else 0"),
        (plan.reached, REACHED, "1 if a message was handed off within the window, else 0"),
    ):
        if beside:
            hours = _hours(beside)
            yield (name, "", name, "", hours, "", "", meaning, "0 or 1", "not counted yet")
    if plan.is_anchored:
        yield from _anchored(plan.primary)


def _entries(metric: Metric, role: str) -> Iterator[tuple[str, ...]]:
    for name, cell in zip(names_of(metric), form_of(metric).cells, strict=True):
        yield _entry(name, metric, role, cell, cell.missing)


def _anchored(metric: Metric) -> Iterator[tuple[str, ...]]:
    """Yield the entries of the primary outcome from the first message or ghost on."""
    for name, cell in zip(names_of(metric), form_of(metric).cells, strict=True):
        missing = "no message and no ghost, or not counted yet"
        yield _entry(f"{name}_{ANCHORED}", metric, ANCHORED, cell, missing)


def _entry(name: str, metric: Metric, role: str, cell: Cell, missing: str) -> tuple[str, ...]:
    kind = metric.family.name
    start = "the first message or ghost" if role == ANCHORED else "the draw"
    window = f"{hours_text(metric.window)} from {start}"
    meaning = f"{cell.meaning} ({window})"
    return (
        name, metric.key, role, kind, _hours(metric), metric.better, metric.name, meaning,
        cell.unit, missing,
    )  # fmt: skip


def _hours(metric: Metric) -> str:
    return f"{metric.window.total_seconds() / 3600:g}"
