"""What a ledger keeps of a report: words, numbers, and the tables that they follow from. Pure."""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from common.json_text import canonical_json
from experiments.design import SECTION
from experiments.ledger.chain import Entry, LedgerError
from experiments.metrics.columns import Frequencies
from experiments.metrics.observed import Observed
from experiments.protocol import HOLM, ExperimentProtocol
from experiments.reporting.adaptive.comparison import with_periods
from experiments.reporting.advice import advice
from experiments.reporting.answer import answers
from experiments.reporting.by_section import DrawnSections, with_sections
from experiments.reporting.facts import ArmFacts, ExperimentFacts
from experiments.reporting.report import Report, build_report
from experiments.reporting.small_cells import REASON
from experiments.reporting.text import CSV_COLUMNS, WITHHELD, csv_rows

# How many assignments have each combination of a metric's numbers: the numbers, then how many.
Table = tuple[tuple[int | None, ...], ...]


@dataclass(frozen=True)
class Snapshot:
    """A report at an instant: what it said, its numbers as the rows of its file, and its tables.

    `drawn` are the learners by arm, and `sections` the sections. `tables` are by metric, part and
    arm. A part is a section or a period where those are compared, and else an empty text.
    """

    experiment: str
    as_of: str
    said: tuple[str, ...]
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    drawn: Mapping[str, int]
    sections: Mapping[str, int]
    tables: Mapping[str, Mapping[str, Mapping[str, Table]]]

    @classmethod
    def of(cls, report: Report) -> "Snapshot":
        """Return what is kept of the report. It names no course."""
        to_do = advice(report)
        said = [text for each in answers(report) for text in (each.found, each.how_sure)]
        if to_do is not None:
            said = [f"{to_do.decision.value.capitalize()}: {to_do.text}", *said]
        return cls(
            report.facts.key,
            report.facts.as_of.isoformat(),
            tuple(said),
            CSV_COLUMNS,
            _cells(report),
            {arm.key: arm.assigned for arm in report.arms},
            {arm.key: arm.sections for arm in report.arms},
            {
                result.metric.key: {
                    section: {arm: _table(each.frequencies) for arm, each in found.items()}
                    for section, found in (result.by_part or {"": result.observed}).items()
                }
                for result in report.results
            },
        )

    def content(self) -> str:
        """Return it as canonical JSON."""
        return canonical_json(asdict(self))

    @classmethod
    def read(cls, entry: Entry) -> "Snapshot":
        """Return the snapshot of the entry. Raise LedgerError if it cannot be read."""
        try:
            found = json.loads(entry.content)
            for name in ("said", "columns", "rows"):
                found[name] = _tuples(found[name])
            found["tables"] = {
                metric: {
                    section: {arm: _tuples(table) for arm, table in of_section.items()}
                    for section, of_section in of_metric.items()
                }
                for metric, of_metric in found["tables"].items()
            }
            return cls(**found)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise LedgerError(f"Entry {entry.position} of the ledger cannot be read.") from error


def computed_rows(kept: Snapshot, protocol: ExperimentProtocol) -> tuple[tuple[str, ...], ...]:
    """Return the rows of the report's file, computed again from the tables and the protocol."""
    facts = ExperimentFacts(
        key=kept.experiment, name="", hypothesis="", population="", is_running=False,
        started_at=None, stopped_at=None, as_of=datetime.fromisoformat(kept.as_of),
        level=protocol.level, protocol_sha256="", courses=(),
        is_corrected=protocol.analysis.correction == HOLM,
        draws_sections=protocol.design.unit == SECTION,
        is_adaptive=protocol.design.adapting is not None,
    )  # fmt: skip
    arms = [
        ArmFacts(arm.key, arm.name, arm.is_control, arm.weight, kept.drawn.get(arm.key, 0))
        for arm in protocol.arms
    ]
    metrics = protocol.chosen_metrics()
    sectioned = {
        metric.key: {
            section: {arm: metric.observe(_frequencies(table)) for arm, table in found.items()}
            for section, found in kept.tables[metric.key].items()
        }
        for metric in metrics
    }
    observed: dict[str, dict[str, Observed]] = {arm.key: {} for arm in arms}
    for metric in metrics:
        for arm, table in _wholes(kept.tables[metric.key].values()).items():
            observed[arm][metric.key] = metric.observe(table)
    found = build_report(facts, arms=arms, metrics=metrics, observed=observed, deliveries={})
    if facts.draws_sections:
        found = with_sections(
            found,
            guardrails=[],
            observed=observed,
            sectioned=sectioned,
            drawn=DrawnSections(kept.sections),
        )
    elif facts.is_adaptive:
        # The rows do not depend on the shares, only on the sizes of the arms in each period.
        found = with_periods(
            found, guardrails=[], observed=observed, by_period=sectioned, periods=[]
        )
    return _cells(found)


def rows_difference(kept: Snapshot, rows: Sequence[Sequence[str]]) -> str:
    """Return the first number that comes out differently now, as a clause; empty if none.

    `rows` have today's columns. Columns that a later release added are not compared. Numbers that
    agree to nine digits are the same.
    """
    missing = [name for name in kept.columns if name not in CSV_COLUMNS]
    if missing:
        return f"the column {missing[0]} is no longer computed"
    if len(rows) != len(kept.rows):
        return f"there were {len(kept.rows)} rows, and {len(rows)} come out now"
    places = [CSV_COLUMNS.index(name) for name in kept.columns]
    for before, row in zip(kept.rows, rows, strict=True):
        if REASON in row or WITHHELD in before:
            # Earlier releases kept what is hidden now, and tables do not hold who left, for which
            # a comparison is withheld. The tables are compared.
            continue
        for name, old, place in zip(kept.columns, before, places, strict=True):
            if not _is_same(old, row[place]):
                what = " in ".join(before[kept.columns.index(each)] for each in _NAMES)
                now = row[place] or "nothing"
                return f"{name} of {what} was {old or 'empty'}, but {now} comes out"
    return ""


def _is_same(old: str, now: str) -> bool:
    if old == now:
        return True
    # Another processor adds the numbers of an array in another order, and its search for a limit
    # ends elsewhere in the last digits. A restored ledger would look as if somebody had edited it.
    try:
        return math.isclose(float(old), float(now), rel_tol=1e-9, abs_tol=1e-12)
    except ValueError:
        return False


_NAMES = ("metric", "arm")


def _cells(report: Report) -> tuple[tuple[str, ...], ...]:
    return tuple(map(tuple, csv_rows(report)))


def _table(frequencies: Frequencies) -> Table:
    rows = [
        (*(None if number is None else int(number) for number in numbers), times)
        for numbers, times in frequencies.items()
    ]
    return tuple(sorted(rows, key=lambda row: [(each is not None, each or 0) for each in row]))


def _frequencies(table: Table) -> Frequencies:
    return {row[:-1]: row[-1] or 0 for row in table}


def _wholes(parts: Iterable[Mapping[str, Table]]) -> dict[str, dict[tuple[Any, ...], int]]:
    """Return the frequencies of each arm, all sections together."""
    found: dict[str, dict[tuple[Any, ...], int]] = {}
    for part in parts:
        for arm, table in part.items():
            whole = found.setdefault(arm, {})
            for numbers, times in _frequencies(table).items():
                whole[numbers] = whole.get(numbers, 0) + times
    return found


def _tuples(rows: Iterable[Any]) -> tuple[Any, ...]:
    return tuple(tuple(row) if isinstance(row, list) else row for row in rows)
