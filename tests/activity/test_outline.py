"""Modules and quizzes from a spreadsheet: the days, the rows, and what is stored."""

from datetime import date

import pytest

from activity.models import Course, Item
from activity.operations import save_outline
from activity.operations.outline import Outcome, OutlineResult, stored_keys
from activity.outline import outline_rows
from activity.sheet_days import Order, order_of, read_sheet_day
from activity.spreadsheet import SheetError, read_sheet
from tests.factories import NOW, make_course, make_item

DUE = date(2026, 11, 22)
TABLE = (
    "Kind;Title;Module;From;Due\n"
    "Module;Cells;;9/11/2026;22/11/2026\n"
    "Test;Cells: quiz;Cells;;22 November 2026\n"
)


def save(course: Course, table: str = TABLE, *, dry_run: bool = False) -> list[OutlineResult]:
    rows = outline_rows(read_sheet(table), course=course.key, stored=stored_keys(course))
    return save_outline(course, rows, now=NOW, dry_run=dry_run)


@pytest.mark.parametrize(
    "text",
    ["2026-11-09", "9/11/2026", "09.11.2026", "9-11-2026", "9 November 2026", "Nov. 9, 2026"],
)
def test_day_is_read_as_spreadsheets_write_it(text: str) -> None:
    assert read_sheet_day(text, order=Order.DAY_FIRST) == date(2026, 11, 9)


@pytest.mark.parametrize(
    ("texts", "order"),
    [
        (["9/11/2026", "22/11/2026"], Order.DAY_FIRST),
        (["11/9/2026", "11/22/2026"], Order.MONTH_FIRST),
        (["9.11.2026"], Order.DAY_FIRST),
        (["9/11/2026", "2026-11-22"], None),
    ],
)
def test_order_of_a_sheet_is_seen_by_a_number_that_is_no_month(
    texts: list[str], order: Order | None
) -> None:
    assert order_of(texts) is order


def test_day_that_can_be_two_is_refused_with_both() -> None:
    with pytest.raises(ValueError, match=r"9 November or 11 September: write it like 9 November"):
        read_sheet_day("9/11/2026", order=None)
    assert read_sheet_day("9/9/2026", order=None) == date(2026, 9, 9)


@pytest.mark.parametrize("text", ["31/2/2026", "9/13/2026", "soon", "9 November 1800"])
def test_text_that_is_no_day_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not a date|cannot be"):
        read_sheet_day(text, order=Order.DAY_FIRST)


@pytest.mark.django_db
def test_table_is_stored_once_and_in_its_modules() -> None:
    course = make_course()
    assert {each.outcome for each in save(course, dry_run=True)} == {Outcome.NEW}
    assert not Item.objects.exists()

    save(course)
    assert {each.outcome for each in save(course)} == {Outcome.SAME}

    quiz = Item.objects.get(kind="quiz")
    assert (quiz.title, quiz.key, quiz.due_on) == ("Cells: quiz", "cells-cells-quiz", DUE)
    assert quiz.parent
    assert quiz.parent.assigned_on == date(2026, 11, 9)


@pytest.mark.django_db
def test_row_without_an_id_changes_the_item_of_its_kind_and_title() -> None:
    course = make_course()
    make_item(course, "module", key="lms-1", title="Cells")
    make_item(course, "quiz", key="lms-2", title="Cells: quiz")

    results = save(course)

    assert [each.outcome for each in results] == [Outcome.CHANGED, Outcome.CHANGED]
    assert [*Item.objects.values_list("key", flat=True)] == ["lms-1", "lms-2"]
    assert Item.objects.get(key="lms-2").parent == Item.objects.get(key="lms-1")


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("poem;Cells: poem;;", "The kind “poem” is unknown: write one of module, video"),
        ("quiz;;Cells;", "The title is missing."),
        ("quiz;Q;Genes;", "The module “Genes” is not in a line above"),
        ("module;M;Cells;", "A module has no parent"),
        ("quiz;Q;Cells;soon", "Due: 'soon' is not a date"),
    ],
    ids=["kind", "title", "unknown module", "module in a module", "day"],
)
def test_faulty_row_is_refused_and_the_others_are_stored(row: str, words: str) -> None:
    course = make_course()

    good, bad = save(course, f"Kind;Title;Module;Due\nmodule;Cells;;\n{row}\n")

    assert (good.outcome, bad.outcome) == (Outcome.NEW, Outcome.REFUSED)
    assert words in bad.fault
    assert [*Item.objects.values_list("title", flat=True)] == ["Cells"]


@pytest.mark.parametrize("table", ["Title;Due\nCells;\n", "Kind;Title\n" + "quiz;Q\n" * 501])
def test_other_table_is_refused(table: str) -> None:
    with pytest.raises(SheetError, match=r"Kind is missing|At most 500"):
        list(outline_rows(read_sheet(table), course="biology", stored={}))
