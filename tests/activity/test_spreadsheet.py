"""Learners from a spreadsheet: what the cells mean, what would happen, and what happens."""

import csv
import re
from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from activity import access
from activity.access import COMMAND_LINE
from activity.models import Course, Due, Enrollment, Learner
from activity.operations.spreadsheet import RowKind, RowResult, import_spreadsheet
from activity.spreadsheet import (
    FIELDS,
    MOST_ROWS,
    SheetError,
    decoded,
    guessed,
    read_sheet,
    sheet_rows,
)
from common.spreadsheets import spreadsheet_lines, undefused
from tests.factories import NOW, make_course, make_enrollment, make_learner

ADDRESS = "/learners/import/"
CLASS = "ID;Name;E-Mail;Class;Notes\na1;Ana;ana@example.org;Blue;quick\nb2;Bo;bo@example.org;;\n"


@pytest.mark.parametrize("mark", ["a,b\n1,2\n", "a;b\n1;2\n", "a\tb\n1\t2\n"], ids=[*",;t"])
def test_table_is_read_with_any_usual_delimiter(mark: str) -> None:
    sheet = read_sheet(mark)

    assert (sheet.header, sheet.rows) == (("a", "b"), ((2, ("1", "2")),))


@pytest.mark.parametrize("text", ["Bob;=1+1", "a\n-3", "=1;@b", "\t=1", "a;'b", "Smith;-)", "x"])
def test_no_text_of_a_file_runs_as_a_formula_and_each_is_read_again(text: str) -> None:
    _, _, line = spreadsheet_lines(["id"], [[text]])

    for cell in re.split("[;\n]", line.removesuffix("\r\n")):
        assert not cell.strip('"').startswith(("=", "+", "-", "@"))
    (cells,) = csv.reader(StringIO(line, newline=""))
    assert undefused(cells[0]) == text


def test_column_named_like_the_beginning_of_an_archive_is_read() -> None:
    assert read_sheet("PK,name\na,b\n").header == ("PK", "name")


def test_cells_keep_line_breaks_and_lose_the_apostrophe_of_an_export() -> None:
    sheet = read_sheet('id,name\n"\'-3"," Zoë\nBerg "\n\n,\nb,c\n')

    assert sheet.rows == ((2, ("-3", "Zoë\nBerg")), (5, ("b", "c")))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "Choose a CSV file"),
        ("id,name\n", "a line per learner"),
        ("PK\x03\x04", "is not CSV"),
        ("id\n" + "x\n" * (MOST_ROWS + 1), "Divide the file"),
        (",".join("c" * 51) + "\n1\n", "more than 50 columns"),
        ('id\n"' + "x" * 200_000, "cannot be read"),
    ],
    ids=["empty", "only names", "xlsx", "too long", "too wide", "huge cell"],
)
def test_text_that_is_no_table_is_refused_with_a_sentence(text: str, words: str) -> None:
    with pytest.raises(SheetError, match=words):
        read_sheet(text)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "utf-16"])
def test_file_of_any_spreadsheet_is_decoded(encoding: str) -> None:
    assert decoded("id,name\na,Zoë".encode(encoding)) == "id,name\na,Zoë"


def test_columns_are_guessed_by_their_names_once() -> None:
    assert guessed(["User ID", "name", "Full name", "E-mail", "color", "Enrolled on"]) == {
        0: "external_id", 1: "name", 3: "email", 5: "enrolled_at",
    }  # fmt: skip
    headers = [header for each in FIELDS for header in each.headers]
    assert len(headers) == len(set(headers))


def rows_of(text: str, course: Course) -> Any:
    sheet = read_sheet(text)
    columns = {name: column for column, name in guessed(sheet.header).items()}
    return sheet_rows(sheet, columns=columns, course=course.key, time_zone=course.time_zone)


def import_text(
    text: str, course: Course, *, dry_run: bool = False, now: datetime = NOW
) -> list[RowResult]:
    rows = rows_of(text, course)
    return import_spreadsheet(course, rows, viewer=COMMAND_LINE, now=now, dry_run=dry_run)


def kinds(results: list[RowResult]) -> list[RowKind]:
    return [result.kind for result in results]


@pytest.mark.django_db
def test_day_begins_at_the_midnight_of_the_course() -> None:
    course = make_course(time_zone="Europe/Brussels")
    import_text("id,enrolled on\na,2025-09-01\nb,2025-09-01T10:00:00+00:00\n", course)

    found = dict(Enrollment.objects.values_list("learner__external_id", "enrolled_at"))
    assert found == {
        "a": datetime(2025, 8, 31, 22, tzinfo=UTC),
        "b": datetime(2025, 9, 1, 10, tzinfo=UTC),
    }


@pytest.mark.django_db
def test_learner_of_other_courses_is_enrolled_and_neither_shown_nor_changed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    course = make_course()
    make_enrollment(make_course(), make_learner(external_id="a", name="Zebra"))
    monkeypatch.setattr(access, "courses_of", lambda _: Course.objects.filter(pk=course.pk))

    (refused,) = import_text("id,name\na,Ant\n", course)
    assert refused.kind == RowKind.REFUSED
    assert "Zebra" not in refused.details
    (enrolled,) = import_text("id\na\n", course)
    assert enrolled.kind == RowKind.ENROLLED
    assert Learner.objects.get(external_id="a").name == "Zebra"
    assert kinds(import_text("id,name\na,Ant\n", course)) == [RowKind.CHANGED]


@pytest.mark.django_db
def test_new_learners_are_enrolled_in_sections_and_wait_for_evaluation() -> None:
    course = make_course()
    results = import_text(CLASS, course)

    assert kinds(results) == [RowKind.NEW, RowKind.NEW]
    assert results[0].details == "The section Blue is new."
    ana, bo = Enrollment.objects.order_by("learner__external_id")
    assert (ana.learner.name, ana.learner.email) == ("Ana", "ana@example.org")
    assert (ana.section.key, bo.section) == ("Blue", None)
    assert Due.objects.filter(due_at=NOW).count() == 2


@pytest.mark.django_db
def test_dry_run_says_the_same_and_stores_nothing() -> None:
    course = make_course()
    make_enrollment(course, make_learner(external_id="a1", name="Anna", email=None))
    before = list(Learner.objects.values()), list(Enrollment.objects.values())

    dry = import_text(CLASS, course, dry_run=True)
    assert (list(Learner.objects.values()), list(Enrollment.objects.values())) == before
    assert dry == import_text(CLASS, course)
    assert dry[0].kind is RowKind.CHANGED
    assert "Name: “Anna” becomes “Ana”." in dry[0].details
    assert "Email address: empty becomes “ana@example.org”." in dry[0].details


@pytest.mark.django_db
def test_second_import_changes_nothing() -> None:
    course = make_course()
    import_text(CLASS, course)
    before = list(Learner.objects.values()), list(Enrollment.objects.values())

    again = import_text(CLASS, course, now=NOW + timedelta(days=1))
    assert kinds(again) == [RowKind.SAME, RowKind.SAME]
    assert (list(Learner.objects.values()), list(Enrollment.objects.values())) == before


@pytest.mark.django_db
def test_known_learner_is_enrolled_and_an_empty_cell_erases_nothing() -> None:
    make_learner(external_id="a1", name="Ana", email="ana@example.org")
    (result,) = import_text("id,name,email\na1,,\n", make_course())

    assert result.kind is RowKind.ENROLLED
    assert Learner.objects.get().email == "ana@example.org"


@pytest.mark.django_db
def test_faulty_row_costs_one_row() -> None:
    course = make_course()
    text = "id,name,enrolled on,timezone\n,Nobody,,\na,Ana,1/9/2025,\nb,Bo,,Mars/Olympus\nc,Cy,,\n"
    results = import_text(text, course)

    assert kinds(results) == [RowKind.REFUSED] * 3 + [RowKind.NEW]
    assert results[0].details == "The id of the learner is missing."
    assert "Enrolled on: '1/9/2025' can be 1 September or 9 January" in results[1].details
    assert "time_zone" in results[2].details
    assert [each.external_id for each in Learner.objects.all()] == ["c"]


@pytest.mark.django_db
def test_section_of_a_faulty_row_is_made_by_the_next_row() -> None:
    course = make_course()
    text = "id,section,timezone\na,Blue,Mars/Olympus\nb,Blue,\nc,Blue,\nb,Blue,\n"
    results = import_text(text, course)

    assert kinds(results) == [RowKind.REFUSED, RowKind.NEW, RowKind.NEW, RowKind.SAME]
    assert [result.details for result in results[1:]] == ["The section Blue is new.", "", ""]
    assert {each.section.key for each in Enrollment.objects.all()} == {"Blue"}


@pytest.mark.django_db
def test_unusable_address_keeps_the_learner_and_is_said() -> None:
    (result,) = import_text("id,email\na,not an address\n", make_course())

    assert result.kind is RowKind.NEW
    assert "the learner gets no email" in result.details


@pytest.fixture
def admin(client: Client, db: None) -> Client:
    client.force_login(User.objects.create_superuser("admin"))
    return client


@pytest.mark.django_db
def test_import_needs_the_rights_to_add_and_change_learners(client: Client) -> None:
    user = User.objects.create_user("bo", is_staff=True)
    client.force_login(user)
    rights = Permission.objects.filter(content_type__app_label="activity")
    user.user_permissions.set(rights.filter(codename__in=["add_learner", "add_enrollment"]))
    assert client.get(ADDRESS).status_code == 403

    user.user_permissions.add(*rights.filter(codename__in=["change_learner", "change_enrollment"]))
    assert client.get(ADDRESS).status_code == 200
    client.logout()
    assert "/admin/login/" in client.get(ADDRESS)["Location"]


def test_file_is_mapped_checked_and_imported_in_three_steps(admin: Client) -> None:
    course = make_course(title="Biology 2025")
    file = SimpleUploadedFile("class.csv", CLASS.encode("cp1252"))
    page = admin.post(ADDRESS, {"course": course.pk, "file": file, "step": "columns"})
    assert page.context["columns"]["column_3"].initial == "section"
    assert "Blue" in page.content.decode()

    answers = {"course": course.pk, "text": page.context["cells"]}
    answers |= {f"column_{at}": name for at, name in guessed(["ID", "Name", "E-Mail"]).items()}
    dry = admin.post(ADDRESS, answers | {"step": "check"}).content.decode()
    assert "Nothing is imported yet." in dry
    assert "Import 2 rows" in dry
    assert 'b2 <span class="quiet">Bo</span>' in dry
    assert not Learner.objects.exists()

    done = admin.post(ADDRESS, answers | {"step": "import"}).content.decode()
    assert "2 rows are imported into Biology 2025." in done
    assert Learner.objects.count() == 2


@pytest.mark.parametrize(("chosen", "is_today"), [("start", False), ("now", True)])
def test_learner_without_a_day_takes_the_course_since_its_first_day_if_wanted(
    admin: Client, chosen: str, is_today: bool
) -> None:
    course = make_course(time_zone="Europe/Brussels", starts_on="2025-09-01")
    given = {"course": course.pk, "text": "id,enrolled on\na,\nb,2025-09-03\n"}
    asked = admin.post(ADDRESS, given | {"step": "columns"}).content.decode()
    assert "its first day, Monday 1 September 2025" in asked

    columns = {"column_0": "external_id", "column_1": "enrolled_at", "begins": chosen}
    admin.post(ADDRESS, given | columns | {"step": "import"})
    first, second = Enrollment.objects.order_by("learner__external_id")
    begins = datetime(2025, 8, 31, 22, tzinfo=UTC)
    assert (first.enrolled_at > begins) is is_today
    assert first.enrolled_at >= begins
    assert second.enrolled_at == begins + timedelta(days=2)


def test_course_that_begins_later_does_not_ask_since_when_learners_take_it(admin: Client) -> None:
    course = make_course(starts_on="2190-01-01", ends_on="2190-02-01")
    given = {"course": course.pk, "text": "id\na\n", "step": "columns"}

    assert "its first day" not in admin.post(ADDRESS, given).content.decode()


@pytest.mark.django_db
def test_changed_day_is_shown_in_words_of_the_course() -> None:
    course = make_course(time_zone="Europe/Brussels")
    import_text("id,enrolled on\na,2025-09-03\n", course)
    (result,) = import_text("id,enrolled on\na,2025-09-05\n", course, dry_run=True)

    days = ("Wednesday 3 September 2025, 00:00", "Friday 5 September 2025, 00:00")
    first, second = (f"“{day} (Europe/Brussels)”" for day in days)
    assert result.details == f"Enrolled on: {first} becomes {second}."


def test_fault_of_the_file_is_shown_and_nothing_typed_is_lost(admin: Client) -> None:
    course = make_course()
    page = admin.post(ADDRESS, {"course": course.pk, "text": "id,name", "step": "columns"})

    assert "a line per learner" in page.content.decode()
    assert ">\nid,name</textarea>" in page.content.decode()
    assert f'value="{course.pk}" selected' in page.content.decode()


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"column_0": "", "column_1": "name"}, "Choose the column that holds the id"),
        ({"column_0": "name", "column_1": "name"}, "Choose the column that holds the id"),
        ({"column_0": "external_id", "column_1": "external_id"}, "Two columns are chosen as"),
        ({"column_0": "external_id", "column_1": "color"}, "Select a valid choice"),
    ],
    ids=["no id", "two names", "two ids", "unknown"],
)
def test_columns_that_cannot_be_read_are_asked_for_again(
    admin: Client, columns: dict[str, str], words: str
) -> None:
    given = {"course": make_course().pk, "text": "id,name\na,Ana", "step": "import", **columns}

    assert words in admin.post(ADDRESS, given).content.decode()
    assert not Learner.objects.exists()


def test_back_to_the_columns_keeps_what_was_chosen(admin: Client) -> None:
    given = {"course": make_course().pk, "text": "id,name\na,Ana", "step": "columns"}
    page = admin.post(ADDRESS, given | {"column_0": "external_id", "column_1": "given_name"})

    assert page.context["columns"]["column_1"].value() == "given_name"


def test_names_in_a_file_are_escaped(admin: Client) -> None:
    given = {"course": make_course().pk, "text": "id,name\n<b>a</b>,</textarea><script>x</script>"}
    given |= {"column_0": "external_id", "column_1": "name"}
    for step in ("columns", "check", "import"):
        text = admin.post(ADDRESS, given | {"step": step}).content.decode()
        assert "<script>x" not in text
        assert "<b>a" not in text


def test_many_rows_take_a_bounded_number_of_queries(
    admin: Client, django_assert_max_num_queries: Any
) -> None:
    given = {"course": make_course().pk, "column_0": "external_id", "step": "check"}
    given["text"] = "id\n" + "\n".join(f"n{number}" for number in range(40))

    # For all rows: the learners, the enrollments and their Due rows, each locked, read and saved.
    with django_assert_max_num_queries(35):
        admin.post(ADDRESS, given)


@pytest.mark.django_db
@pytest.mark.slow
def test_many_rows_take_the_same_number_of_queries(
    django_assert_max_num_queries: Any, django_assert_num_queries: Any
) -> None:
    course = make_course()
    text = "id,name,section\n" + "".join(f"n{number},New,Blue\n" for number in range(300))

    with django_assert_max_num_queries(25):
        import_text(text, course)
    with django_assert_max_num_queries(25):
        import_text(text.replace("New", "Other").replace("Blue", "Red"), course)
    assert Learner.objects.filter(name="Other").count() == 300
    assert set(Enrollment.objects.values_list("section__key", flat=True)) == {"Red"}


@pytest.mark.django_db
def test_row_that_only_the_database_refuses_costs_one_row(monkeypatch: Any) -> None:
    course = make_course()
    make_enrollment(course, make_learner(external_id="n3", name="Nil"))
    # The form checks this length. Without that, only the column does.
    monkeypatch.setattr(Learner._meta.get_field("locale"), "validators", [])
    lines = [f"n{number},Name {number},{'x' * 20 if number == 2 else 'en'}" for number in range(7)]
    results = import_text("id,name,language\n" + "\n".join(lines), course)

    expected = [RowKind.NEW] * 7
    expected[2:4] = [RowKind.REFUSED, RowKind.CHANGED]
    assert kinds(results) == expected
    assert "too long" in results[2].details
    assert Due.objects.count() == Enrollment.objects.count() == 6


@pytest.mark.django_db
def test_learner_on_two_lines_ends_as_on_the_last() -> None:
    text = "id,name,section\na,Ana,Blue\na,Anna,Red\nb,Bo,\na,Anna,Red\n"
    course = make_course()
    results = import_text(text, course)

    assert kinds(results) == [RowKind.NEW, RowKind.CHANGED, RowKind.NEW, RowKind.SAME]
    assert "Name: “Ana” becomes “Anna”." in results[1].details
    ana = Enrollment.objects.get(learner__external_id="a")
    assert (ana.learner.name, ana.section.key) == ("Anna", "Red")
