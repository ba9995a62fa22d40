"""The entries of a codebook on the numbers of a report: which interval to quote. Pure."""

from collections.abc import Iterator

from experiments.exports.numbers import report_numbers
from experiments.reporting.quoting import Quoted, quoted
from experiments.reporting.report import Report
from experiments.reporting.section_checks import drawn_text

# Readers of the rows skip entries with this role.
ROLE = "number"
_FILE = "numbers.csv"
_MEANINGS = {
    ("outcome", "low, high"): "the interval at the end of the experiment",
    ("any time", "low, high"): "the interval for those who look before the end, however often",
    ("outcome", "relative_low, relative_high"): "the same interval as a share of the control",
    ("outcome", "of_sections_low, of_sections_high"): "each section counted once: a check",
    ("reached", "low, high"): "the effect on those whom a message reached: it judges the message",
    ("from_message", "low, high"): "from the first message or ghost on: a check",
    ("left", "bounds_low, bounds_high"): "the effect on those who would have stayed in either arm",
}
# What is added if the plan names no end.
_NO_END = {
    ("outcome", "low, high"): ", if the results did not choose the end",
    ("any time", "low, high"): ", or let the results choose the end",
}
_PARTS = {Quoted.FIXED: "outcome", Quoted.ANY_TIME: "any time"}


def numbers_book(report: Report) -> Iterator[tuple[str, ...]]:
    """Yield an entry for each kind of interval, the one to quote first, and for the draw.

    The entries stand under the columns of the codebook of rows.
    """
    primary, given = report.primary, {(each.part, each.number) for each in report_numbers(report)}
    kinds = {quoted(report, row) for row in primary.rows} - {Quoted.NONE}
    named = {_PARTS[kind] for kind in kinds}
    for (part, names), meaning in sorted(
        _MEANINGS.items(), key=lambda item: not (item[0][0] in named and item[0][1] == "low, high")
    ):
        # Of a withheld comparison the file has no interval.
        if (part, names.split(",")[0]) not in given:
            continue
        is_quoted = part in named and names == "low, high"
        start = "QUOTE THIS ONE of the primary outcome: " if is_quoted else ""
        end = "" if report.facts.has_end else _NO_END.get((part, names), "")
        words = f"{start}{meaning}{end}"
        outcome = primary.metric.key if is_quoted else ""
        yield _entry(f"{_FILE}: {part}: {names}", outcome, words)
    for reason, arms in _withheld(report).items():
        yield _entry(f"{_FILE}: {arms}", "", f"no difference and no interval are given: {reason}")
    for row in report.rows:
        note = row.comparison.difference.note
        if note and not report.withheld_reason(row.arm):
            yield _entry(f"{_FILE}: outcome: {row.arm.key}", row.metric.key, note)
    if report.blocks:
        yield _entry(f"{_FILE}: sections", "", drawn_text(report.blocks))


def _withheld(report: Report) -> dict[str, str]:
    """Return the arms whose comparison is withheld, by the reason."""
    found: dict[str, list[str]] = {}
    for arm in report.arms:
        reason = report.withheld_reason(arm)
        if reason:
            found.setdefault(reason, []).append(arm.key)
    return {reason: ", ".join(arms) for reason, arms in found.items()}


def _entry(name: str, outcome: str, meaning: str) -> tuple[str, ...]:
    return (name, outcome, ROLE, "", "", "", "", meaning, "", "")
