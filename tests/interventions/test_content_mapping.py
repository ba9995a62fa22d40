"""The page of a course's content mapping: rows typed, pasted, refused and kept."""

from io import StringIO

import pytest
from django.contrib.auth.models import Group, Permission
from django.core.management import call_command
from django.test import Client

from activity.models import Course
from interventions.models import ContentMapping
from interventions.operations import InterventionError
from interventions.operations.content_mappings import (
    MappedThing,
    save_mappings,
    state_of_mappings,
    thing_of,
)
from segmentation.models import Segment
from tests.factories import make_course, make_item
from tests.interventions.factories import make_any_segment
from tests.segmentation.factories import ACTED_TODAY, make_playbook, make_segment

pytestmark = pytest.mark.django_db
LINK = "https://courses.example.org/more"


@pytest.fixture
def staff(client: Client, django_user_model) -> Client:
    client.force_login(django_user_model.objects.create_superuser("staff"))
    return client


@pytest.fixture
def course() -> Course:
    made = make_course(title="Biology")
    cells = make_item(made, "module", title="Cells")
    make_item(made, "quiz", title="Cells: quiz", parent=cells, topic="walls")
    return made


@pytest.fixture
def segment(course: Course) -> Segment:
    return make_any_segment(course)


def address(course: Course) -> str:
    return f"/courses/{course.pk}/next/"


def posted(staff: Client, course: Course, *rows: dict, step: str = "save", **more):
    fields = {
        f"row-{number}-{name}": text
        for number, row in enumerate(rows)
        for name, text in row.items()
    }
    seen = more.pop("seen", None) or state_of_mappings([*ContentMapping.objects.all()])
    return staff.post(address(course), {"step": step, "seen": seen, **fields, **more}, follow=True)


def stored() -> list[tuple]:
    rows = ContentMapping.objects.order_by("pk")
    return [
        (
            row.segment and row.segment.name,
            row.module and row.module.title,
            row.topic,
            row.item and row.item.title,
            row.title,
            row.url,
            row.minutes,
        )
        for row in rows
    ]


def test_rows_are_saved_and_shown_as_they_were_typed(staff, course, segment) -> None:
    assert "What comes next" in staff.get(f"/courses/{course.pk}/").text

    answer = posted(
        staff,
        course,
        {"segment": str(segment.pk), "place": "cells", "thing": "Cells: quiz"},
        {"place": "Walls", "thing": "More", "url": LINK, "minutes": "12"},
        {"segment": str(segment.pk)},
    )

    assert "The table is saved" in answer.text
    assert stored() == [
        (segment.name, "Cells", "", "Cells: quiz", "", "", None),
        (None, None, "walls", None, "More", LINK, 12),
    ]
    for shown in ('value="Cells: quiz"', 'value="walls"', f'value="{LINK}"', 'value="12"'):
        assert shown in answer.text


def test_an_emptied_row_is_removed_and_the_others_keep_their_ids(staff, course) -> None:
    posted(staff, course, {"thing": "Cells: quiz"}, {"place": "Cells", "thing": "Cells: quiz"})
    kept = ContentMapping.objects.get(module__isnull=False)

    posted(staff, course, {"thing": ""}, {"place": "Cells", "thing": "Cells: quiz"})

    assert [row.pk for row in ContentMapping.objects.all()] == [kept.pk]


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        ({"place": "Atoms", "thing": "Cells: quiz"}, "no module and no topic “Atoms”"),
        ({"thing": "Unknown"}, "has no item “Unknown”, so it needs a link"),
        ({"place": "Cells"}, "Write what comes next"),
        ({"thing": "More", "url": "javascript:alert(1)"}, "bad"),
        ({"thing": "More", "url": LINK, "minutes": "soon"}, "bad"),
        ({"thing": "Cells: quiz", "segment": "999"}, "bad"),
    ],
)
def test_a_wrong_row_is_refused_at_its_place_and_nothing_is_lost(
    staff, course, row, sentence
) -> None:
    good = {"place": "Cells", "thing": "My own", "url": LINK}

    answer = posted(staff, course, good, row)

    assert sentence in answer.text
    assert "Nothing is saved yet" in answer.text
    for text in {*good.values(), *row.values()} - {"999"}:
        assert f'value="{text}"' in answer.text
    assert not ContentMapping.objects.exists()


def test_a_row_of_a_former_segment_stays_its_row(staff, course, segment) -> None:
    dropped = make_segment(make_playbook(course), ACTED_TODAY, name="Dropped")
    posted(
        staff,
        course,
        {"segment": str(segment.pk), "thing": "Cells: quiz"},
        {"segment": str(dropped.pk), "thing": "Cells: quiz"},
    )
    Segment.objects.filter(pk=segment.pk).update(status="archived")
    dropped.playbook.courses.clear()

    page = staff.get(address(course)).text
    shown = [row["segment"].value() for row in table_of(staff, course)[:2]]
    posted(staff, course, *({"segment": each, "thing": "Cells: quiz"} for each in shown))

    assert f'<option value="{segment.pk}" selected>{segment.name} (archived)</option>' in page
    assert f'<option value="{dropped.pk}" selected>Dropped (no longer in this course)' in page
    assert [name for name, *_ in stored()] == [segment.name, "Dropped"]


def table_of(staff: Client, course: Course) -> list:
    return staff.get(address(course)).context["table"].forms


def test_an_unknown_segment_is_not_shown_as_every_learner(staff, course) -> None:
    cells = "Segment\tWhat comes next\nNobody\tCells: quiz"

    answer = posted(staff, course, step="paste", pasted=cells)

    assert "The course has no segment “Nobody”" in answer.text
    assert '<option value="Nobody" selected>Nobody (unknown)</option>' in answer.text


def test_two_rows_for_one_place_are_refused_once(staff, course) -> None:
    answer = posted(staff, course, {"thing": "Cells: quiz"}, {"thing": "More", "url": LINK})

    assert answer.text.count("Row 1 is for the same learners and place") == 1
    assert not ContentMapping.objects.exists()


def test_a_table_that_was_changed_meanwhile_is_not_overwritten(staff, course) -> None:
    seen = state_of_mappings([])
    save_mappings(course.pk, [MappedThing(title="Theirs", url=LINK)], seen=seen)

    answer = posted(staff, course, {"thing": "Mine", "url": LINK}, seen=seen)

    assert "Somebody else changed the table" in answer.text
    assert 'value="Mine"' in answer.text
    assert [row.title for row in ContentMapping.objects.all()] == ["Theirs"]
    with pytest.raises(InterventionError):
        save_mappings(course.pk, [], seen=seen)


def test_pasted_rows_are_put_into_the_table_and_not_saved(staff, course, segment) -> None:
    cells = (
        "Segment\tModule or topic\tWhat comes next\tLink\tMinutes\n"
        f"{segment.name.upper()}\tCells\tCells: quiz\t\t\n"
        f"\t\tMore\t{LINK}\t7\n"
        "Nobody\tCells\tCells: quiz\t\t\n"
    )

    answer = posted(staff, course, {"place": "walls", "thing": "Typed"}, step="paste", pasted=cells)

    assert "Nothing is saved yet" in answer.text
    for text in ("Typed", "Cells: quiz", "More", LINK, "7"):
        assert f'value="{text}"' in answer.text
    assert "Nobody" in answer.text
    assert not ContentMapping.objects.exists()


def test_a_paste_that_is_no_table_stays_in_its_field(staff, course) -> None:
    answer = posted(staff, course, {"thing": "Typed"}, step="paste", pasted="just words")

    assert "The first line names the columns" in answer.text
    assert "just words" in answer.text
    assert 'value="Typed"' in answer.text


def test_more_rows_keep_what_was_typed(staff, course) -> None:
    rows = [{"thing": f"Thing {number}"} for number in range(4)]

    answer = posted(staff, course, *rows, step="more")

    assert 'name="row-6-thing"' in answer.text
    assert 'value="Thing 3"' in answer.text


def test_the_page_needs_all_rights_of_the_table(client: Client, django_user_model, course) -> None:
    user = django_user_model.objects.create_user("bo", is_staff=True)
    client.force_login(user)
    named = [f"{verb}_contentmapping" for verb in ("view", "add", "change")]
    rights = Permission.objects.filter(codename__in=["view_course", *named])
    for missing in rights:
        user.user_permissions.set(rights.exclude(pk=missing.pk))
        assert client.get(address(course)).status_code == 403
        assert client.post(address(course), {"step": "save"}).status_code == 403

    user.user_permissions.set(rights)
    assert client.get(address(course)).status_code == 200


def test_a_course_admin_opens_the_page_from_the_course(client, django_user_model, course) -> None:
    call_command("make_groups", stdout=StringIO())
    user = django_user_model.objects.create_user("cy", is_staff=True)
    user.groups.add(Group.objects.get(name="Course admins"))
    client.force_login(user)

    assert address(course) in client.get(f"/courses/{course.pk}/").text
    assert client.get(address(course)).status_code == 200
    assert "The table is saved" in posted(client, course, {"thing": "Cells: quiz"}).text
    assert "The table is saved" in posted(client, course).text
    assert not ContentMapping.objects.exists()


def test_the_page_takes_a_fixed_number_of_queries(
    staff, course, segment, django_assert_max_num_queries
) -> None:
    for number in range(6):
        make_item(course, "module", title=f"Module {number}")
        place = {"place": f"Module {number}", "thing": "Cells: quiz"}
        posted(staff, course, *_rows_so_far(), place)

    with django_assert_max_num_queries(14):
        staff.get(address(course))


def _rows_so_far() -> list[dict]:
    rows = ContentMapping.objects.select_related("module", "item").order_by("pk")
    return [{"place": row.module.title, "thing": row.item.title} for row in rows]


def test_a_stored_row_is_the_thing_that_was_saved(course) -> None:
    thing = MappedThing(topic="walls", title="More", url=LINK, minutes=3)

    save_mappings(course.pk, [thing], seen=state_of_mappings([]))

    assert thing_of(ContentMapping.objects.get()) == thing
