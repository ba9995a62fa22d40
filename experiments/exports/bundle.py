"""The files of an experiment for researchers: its rows, its numbers, and how to read them. Pure."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from textwrap import wrap

from common.dates import instant_text
from common.spreadsheets import csv_lines
from experiments.exports.hiding import Shown
from experiments.exports.notebook_file import notebook_text
from experiments.exports.numbers import COLUMNS, GIVEN, number_cells
from experiments.exports.numbers_book import numbers_book
from experiments.exports.plan import Plan
from experiments.exports.rows import CODEBOOK_COLUMNS, Hidden, Row, codebook, row_lines
from experiments.reporting.advice import line_of
from experiments.reporting.report import Report
from experiments.reporting.sections import mismatch_text
from experiments.reporting.small_cells import FEWEST, small_arms
from experiments.reporting.text import listed

ROWS, NUMBERS, CODEBOOK = "rows.csv", "numbers.csv", "codebook.csv"
PROTOCOL, README, NOTEBOOK = "protocol.json", "README.txt", "report.ipynb"
DIGEST = "protocol.sha256"

_README = """{name}
as of {as_of}
{simulated}{warning}
{answer}

{rows}: one row per learner drawn, in an order that tells nothing about the learner. There
are no names, addresses or ids. An empty outcome is not counted yet. A section, a stratum, a
period or a day that fewer than {fewest} learners of an arm share is empty, and so is an outcome
in which fewer than {fewest} learners of the arm are counted.
{computed}
{codebook}: each column of the rows with its meaning, unit, window and missing values. Its
last lines say which interval of {numbers} to quote, and what the others are for.
{notebook}: computes these numbers again from the rows and prints both side by side. Open it
in Jupyter, in the folder with the other files.
{protocol}: the plan as it was locked at the start. Its sha256, as it was stored then, is in
{digest}: {sha256}
The notebook compares the two; so does `sha256sum -c {digest}`.

Keep the files as you keep other data on learners. Whoever knows a learner very well can
still recognize an unusual row. Do not join files of several days to find out which learner
was added.
"""


# The parts of the numbers that are computed again, each in the words of the README.
COMPUTED = {
    "arms": "arm sizes",
    "outcome": "outcomes",
    "any time": "the interval for any time",
    "guardrail": "guardrails",
    "left": "learners who left",
    "reached": "learners whom a message reached",
    "from_message": "outcomes from the first message or ghost on",
    "period": "the periods of an adaptive draw",
}
# What else the page has numbers of.
NOT_COMPUTED = (
    "parts of learners",
    "the time before the draw",
    "the difference over time",
    "the curves of times",
    "readings by ranks, cut numbers, a belief or other courses",
    "the messages of each arm",
    "new learners per week",
    "the shares of an adaptive draw over time",
    "how alike learners of a section are and how large sections are",
    "tests by the draw of which only a sample of the possible draws was counted",
    "tests by the draw corrected for several comparisons",
    "the smallest p that the draws of so few sections can give",
    "what a new experiment would need or find",
)


@dataclass(frozen=True)
class Bundle:
    """All that the files hold. The rows are read once, while the file is sent."""

    report: Report
    protocol: str
    plan: Plan
    shown: Shown
    rows: Iterable[Row]

    def files(self) -> Iterator[tuple[str, Iterable[str]]]:
        """Yield the name and the parts of each file."""
        yield README, [self._readme()]
        yield PROTOCOL, [self.protocol]
        yield DIGEST, [f"{self.report.facts.protocol_sha256}  {PROTOCOL}\n"]
        yield NOTEBOOK, [notebook_text()]
        yield (
            CODEBOOK,
            csv_lines([CODEBOOK_COLUMNS, *codebook(self.plan), *numbers_book(self.report)]),
        )
        settings = {
            "expected_learners": self.plan.expected_learners,
            "hidden_sections": self.shown.hidden_sections,
            "hidden_strata": self.shown.hidden_strata,
        }
        numbers = number_cells(self.report, settings=settings)
        yield NUMBERS, csv_lines([COLUMNS, *numbers])
        control = next(arm.key for arm in self.report.arms if arm.is_control)
        yield (
            ROWS,
            row_lines(
                self.rows,
                plan=self.plan,
                shown=self.shown,
                control=control,
                hidden=hidden_outcomes(self.report, self.plan),
            ),
        )

    def _readme(self) -> str:
        facts = self.report.facts
        return _README.format(
            name=facts.name,
            as_of=instant_text(facts.as_of, zone=facts.zone),
            simulated=f"{facts.simulated_text}\n" if facts.simulated_text else "",
            warning=warning_text(self.report),
            answer="\n".join(wrap(line_of(self.report), 96)),
            fewest=FEWEST,
            sha256=facts.protocol_sha256,
            computed=_computed_text(),
            rows=ROWS,
            numbers=NUMBERS,
            codebook=CODEBOOK,
            protocol=PROTOCOL,
            digest=DIGEST,
            notebook=NOTEBOOK,
        )


def _computed_text() -> str:
    """Return which numbers of the page are in the file of numbers, in lines of a text file."""
    text = (
        f"{NUMBERS}: the report's numbers on {listed(list(COMPUTED.values()))}, one per line, as "
        f'far as the report has them. Those of the part "{GIVEN}" are its settings; all others '
        "follow from the rows. Not in it, and not computed again, are "
        f"{listed(list(NOT_COMPUTED))}."
    )
    return "\n".join(wrap(text, 96))


def warning_text(report: Report) -> str:
    """Return why arms are not compared, in lines of a text file; empty if all of them are."""
    if report.is_mismatch:
        texts = [f"DO NOT USE THE OUTCOMES: {mismatch_text(report)}"]
    else:
        reasons = [(arm.key, report.withheld_reason(arm)) for arm in report.arms]
        texts = [f"NO COMPARISON OF {key} IS GIVEN: {why}." for key, why in reasons if why]
    lines = [line for text in texts for line in ["", *wrap(text, 96)]]
    return "".join(f"{line}\n" for line in lines)


def hidden_outcomes(report: Report, plan: Plan) -> Hidden:
    """Return the outcomes of arms with so few counted learners that the report hides them."""
    counted = {
        result.metric.key: {arm: each.n for arm, each in result.observed.items()}
        for result in report.results
    }
    for row in report.guardrails:
        sizes = counted.setdefault(row.metric.key, {})
        sizes |= {row.arm.key: row.arm_observed.n, row.control.key: row.control_observed.n}
    primary = counted[plan.primary.key]
    # Those who left and those who were reached are counted with the primary outcome.
    by_place = [counted.get(metric.key, primary) for metric in plan.read]
    if report.reach:
        keys = [arm.key for arm in report.arms]
        by_place.append(dict(zip(keys, report.reach.balance.observed, strict=True)))
    return frozenset(
        (place, arm) for place, sizes in enumerate(by_place) for arm in small_arms(sizes)
    )
