"""Which range to quote, and the action that follows each answer."""

from dataclasses import replace
from typing import Any

import pytest

from experiments.exports.numbers_book import numbers_book
from experiments.reporting.advice import Advice, Decision, advice, line_of
from experiments.reporting.answer import answer_line
from experiments.reporting.file_rows import FILE_COLUMNS, file_rows
from experiments.reporting.looking import Looking
from experiments.reporting.quoting import Quoted, quote_texts, quoted
from experiments.reporting.report import Report
from experiments.reporting.section_checks import drawn_text
from experiments.reporting.staying import ArmLeft, Staying
from experiments.reporting.stopping import any_time_texts
from experiments.reporting.text import number_rows
from experiments.reporting.verdict import verdict
from experiments.stats.adaptive.comparison import NOT_BY_PERIOD
from experiments.stats.estimate import Estimate, unknown
from experiments.stats.sufficient import Counts
from tests.experiments.test_advice import of

WIDE = Estimate(0.2, 0.01, 0.39, 0.04, 0.95, "sequence", "sequence")


def looked_at(report: Report) -> Report:
    looking = Looking(planned=(), made=None, next_at=None, sequences={"nudge": WIDE})
    return replace(report, looking=looking)


@pytest.mark.parametrize(
    ("counts", "facts", "decision", "action"),
    [
        ([(40, 100), (60, 100)], {}, Decision.KEEP, "Keep “nudge”: give it to everybody."),
        ([(60, 100), (40, 100)], {}, Decision.STOP, "Stop “nudge”:"),
        (
            [(4000, 10_000), (4010, 10_000)], {"smallest_lift": 0.05},
            Decision.STOP,
            "Do without: any difference is smaller than",
        ),
        ([(40, 100), (45, 100)], {}, Decision.WAIT, "Stay with what is simpler:"),
        ([(2, 6), (3, 6)], {}, Decision.WAIT, "Repeat it with more learners:"),
        (
            [(40, 100), (60, 100)], {"drawn": (1000, 1500)},
            Decision.BROKEN,
            "Do not use these numbers",
        ),
        ([(40, 100), (60, 100), (0, 9)], {}, Decision.STOP, "Stop “nudge”: in “nudge”, 9 of 100"),
        ([(400, 1000), (600, 1000), (0, 12)], {}, Decision.WAIT, "Do not give it to everybody"),
        ([(40, 100), (45, 100)], {"is_running": True}, Decision.WAIT, "Leave it running."),
    ],
    ids=["positive", "harmful", "null", "not clear", "too few", "broken", "guardrail", "weigh",
         "running"],
)  # fmt: skip
def test_every_answer_is_followed_by_one_action(
    counts: list[tuple[int, int]], facts: dict[str, Any], decision: Decision, action: str
) -> None:
    report = of(*counts, **facts)

    found = advice(report)

    assert found is not None
    assert found.decision is decision
    assert found.text.startswith(action)
    # The list of reports gives both in this order too.
    assert line_of(report) == f"{answer_line(report)} {found.text}"


def test_a_better_arm_of_a_running_experiment_ends_it() -> None:
    found = advice(looked_at(of((40, 100), (60, 100), is_running=True)))

    assert found is not None
    assert found.text == "Keep “nudge”: stop the experiment and give it to everybody."


@pytest.mark.parametrize(
    ("facts", "kind"),
    [({"most_learners": 200}, Quoted.FIXED), ({"is_running": True}, Quoted.ANY_TIME)],
    ids=["ended", "running"],
)
def test_one_interval_is_to_be_quoted_in_table_text_and_file(
    facts: dict[str, Any], kind: Quoted
) -> None:
    report = looked_at(of((40, 100), (60, 100), **facts))
    (row,) = report.primary.rows
    first, others = quote_texts(report)
    place = FILE_COLUMNS.index("quote")

    assert quoted(report, row) is kind
    assert [each.is_quoted for each in number_rows(report)] == [False, kind is Quoted.FIXED]
    assert [each[place] for each in file_rows(report)][:2] == ["", kind.value]
    text = {
        Quoted.FIXED: "Quote this one, which is marked in the table: ",
        Quoted.ANY_TIME: "Quote this one while it runs: ",
    }[kind]
    assert first.startswith(
        f"{text}“Quiz attempted within 7 days”, “nudge” against “control”: +20.0 points (95% "
        f"interval {'for any time +1.0 to +39.0' if kind is Quoted.ANY_TIME else ''}"
    )
    assert others.startswith("Do not quote the others in its place. ")


def test_without_a_planned_end_mark_caution_and_files_say_when_the_other_interval_holds() -> None:
    report = looked_at(of((40, 100), (60, 100)))
    first, others = quote_texts(report)
    book = [row[7] for row in numbers_book(report)]

    assert first.startswith(
        "Quote this one, which is marked in the table, unless the results chose the end: “Quiz"
    )
    assert first.endswith(
        " If it was ended because of what this report showed, quote the interval for any time in "
        "its place: +1.0 to +39.0 points (p = 0.040)."
    )
    assert "for those who look before the end, or let the results choose it." in others
    assert next(iter(any_time_texts(report))).endswith(
        "If the end was chosen after looking at the results, intervals and p-values above are too "
        "sure of themselves: then quote the interval for any time, which follows."
    )
    assert book[0].endswith("at the end of the experiment, if the results did not choose the end")
    by_section, _ = quote_texts(replace(report, looking=None))
    assert by_section.endswith(
        "quote no interval: the plan named no end, and this one is too narrow."
    )
    planned = list(quote_texts(looked_at(of((40, 100), (60, 100), most_learners=200))))
    alone = of((40, 100), (60, 100), most_learners=200, is_adaptive=True)
    unrelated = unknown(float("nan"), level=0.95, reason="")
    never = replace(alone.primary.rows[0].comparison, relative=unrelated)
    rows = [replace(alone.primary.rows[0], comparison=never)]
    # Without another range there is none to warn of.
    assert len(list(quote_texts(replace(alone, results=[replace(alone.primary, rows=rows)])))) == 1
    assert "unless" not in planned[0]
    assert "choose" not in " ".join(planned)


def test_nothing_is_quoted_where_no_comparison_is_given() -> None:
    report = of((40, 100), (60, 100), drawn=(1000, 1500))

    assert list(quote_texts(report)) == []


def test_the_draw_of_sections_is_one_sentence() -> None:
    # Four pairs, each of which could have changed its arms.
    assert drawn_text([[1, 1]] * 4) == (
        "The sections were put in the order of their size, and chance shared the arms out within "
        "each block of 2 neighbors in that order: 4 blocks, so 16 draws were possible."
    )
    assert "each block of 1 to 4 neighbors in that order: 2 blocks, so 6 draws" in drawn_text(
        [[2, 2], [1, 0]]
    )


def test_a_withheld_answer_says_to_find_out_who_left() -> None:
    report = of((40, 100), (60, 100))
    (row,) = report.primary.rows
    left = ArmLeft(row.arm, Counts(30, 100), 0.0001, "30 of 100 learners left", None)
    withheld = replace(report, staying=Staying(row.control, Counts(1, 100), [left]))

    assert advice(withheld) == Advice(
        Decision.BROKEN,
        "Do not compare the arms. Find out first why more learners left one arm than the other.",
    )
    assert list(quote_texts(withheld)) == []
    named = {row[0] for row in numbers_book(report)}
    book = {row[0]: row[7] for row in numbers_book(withheld)}
    assert "numbers.csv: outcome: low, high" in named
    # The comparison of who left stays, because it is the answer.
    assert set(book) == {"numbers.csv: nudge"}
    assert book["numbers.csv: nudge"].startswith("no difference and no interval are given: ")
    assert not any(each.is_quoted for each in number_rows(withheld))


def test_what_an_adaptive_draw_never_compares_takes_a_new_experiment() -> None:
    report = of((40, 100), (60, 100), is_running=True, is_adaptive=True)
    (row,) = report.primary.rows
    never = unknown(0.2, level=0.95, reason=NOT_BY_PERIOD)
    comparison = replace(row.comparison, difference=never)
    text = verdict(comparison, outcome=row.metric.words, figures=row.figures)
    rows = [replace(row, comparison=comparison, verdict=text)]
    found = advice(replace(report, results=[replace(report.primary, rows=rows)]))

    assert found is not None
    assert found.text.startswith("Plan a new experiment: this one draws adaptively")
