"""Lists as files: the rows of the list, safe in a spreadsheet, for users with the right."""

import csv
import re
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from activity.admin import ExportedList, exports
from activity.switch import choose_course
from interventions.models import Delivery
from interventions.operations import pause_cadence
from segmentation.models import Membership
from tests.factories import NOW, make_course, make_enrollment, make_learner
from tests.guards.code import ROOT
from tests.interventions.factories import make_any_segment, make_delivery, make_transition

pytestmark = pytest.mark.django_db

PAGES = [page for page in admin.site._registry.values() if isinstance(page, ExportedList)]
LISTS = [page.opts.label_lower for page in PAGES]


@pytest.fixture
def staff(client: Client) -> Client:
    client.force_login(User.objects.create_superuser("staff"))
    return client


def address_of(label: str, name: str = "export") -> str:
    return reverse(f"admin:{label.replace('.', '_')}_{name}")


def read(response: Any) -> list[dict[str, str]]:
    """Return the rows of the file, by the names of the columns."""
    text = b"".join(response.streaming_content).decode("utf-8-sig")
    return list(csv.DictReader(StringIO(text)))


def download(client: Client, label: str, **query: str) -> list[dict[str, str]]:
    return read(client.get(address_of(label), query))


def make_member(course: Any, **fields: Any) -> Membership:
    segment = fields.pop("segment", None) or make_any_segment(course)
    return Membership.objects.create(
        segment=segment, enrollment=make_enrollment(course), entered_at=NOW, version=1, **fields
    )


def test_lists_that_staff_ask_for_have_the_button() -> None:
    assert {
        "activity.learner",
        "activity.enrollment",
        "segmentation.membership",
        "segmentation.transition",
        "interventions.delivery",
        "interventions.archiveddelivery",
    } == set(LISTS)


@pytest.mark.parametrize("label", LISTS)
@pytest.mark.sampled(3)
def test_download_needs_the_right_to_view_and_the_right_to_download(
    client: Client, label: str
) -> None:
    app, model = label.split(".")
    user = User.objects.create_user("bo", is_staff=True)
    client.force_login(user)
    view = Permission.objects.get(codename=f"view_{model}", content_type__app_label=app)
    for right, status in ((view, 403), (Permission.objects.get(codename="export_lists"), 200)):
        user.user_permissions.add(right)
        assert client.get(address_of(label)).status_code == status
        shown = client.get(address_of(label, "changelist")).content.decode()
        assert ("Download this list" in shown) is (status == 200)

    user.user_permissions.remove(view)
    assert client.get(address_of(label)).status_code == 403


def test_stranger_is_asked_to_log_in(client: Client) -> None:
    assert "/admin/login/" in client.get(address_of(LISTS[0]))["Location"]


def test_name_like_a_formula_is_defused(staff: Client) -> None:
    make_learner(name='=HYPERLINK("http://evil.example";"Ana")', external_id="-3")
    make_learner(name='Zoë, the "first"', external_id="b")

    rows = download(staff, "activity.learner")
    assert [row["name"] for row in rows] == [
        "Zoë, the \"first\"", "'=HYPERLINK(\"http://evil.example\";\"Ana\")",
    ]  # fmt: skip
    assert rows[1]["learner"] == "'-3"


def test_file_holds_the_rows_of_the_list_beyond_its_page(staff: Client) -> None:
    course, other = make_course(), make_course()
    for _ in range(60):
        make_enrollment(course)
    make_enrollment(other)
    query = {"course__id__exact": str(course.pk)}

    rows = download(staff, "activity.enrollment", **query)
    listed = staff.get(address_of("activity.enrollment", "changelist"), query).context["cl"]
    assert len(rows) == listed.queryset.count() == 60
    assert len(listed.result_list) == 50
    assert {row["course"] for row in rows} == {course.key}
    assert [row["learner"] for row in rows[:50]] == [
        each.learner.external_id for each in listed.result_list
    ]


def test_file_is_limited_to_the_chosen_course_like_its_list(staff: Client) -> None:
    course = make_course()
    make_enrollment(course)
    make_enrollment()
    session = staff.session
    choose_course(session, course)
    session.save()

    assert [row["course"] for row in download(staff, "activity.enrollment")] == [course.key]


def test_list_links_to_the_file_with_its_filters(staff: Client) -> None:
    shown = staff.get(address_of("segmentation.membership", "changelist"), {"stay": "left"})

    assert f'href="{address_of("segmentation.membership")}?stay=left"' in shown.content.decode()


def test_lists_of_learners_lead_to_the_import(staff: Client) -> None:
    lists = {label: staff.get(address_of(label, "changelist")).content.decode() for label in LISTS}

    link = f'href="{reverse("activity:import")}"'
    assert {label for label, text in lists.items() if link in text} == {
        "activity.learner",
        "activity.enrollment",
    }


def test_members_who_left_are_another_list(staff: Client) -> None:
    course = make_course(time_zone="Europe/Brussels")
    member = make_member(course)
    left = make_member(course, segment=member.segment, left_at=NOW + timedelta(hours=1))

    (row,) = download(staff, "segmentation.membership", stay="left")
    assert row["learner"] == left.enrollment.learner.external_id
    assert (row["entered_at"], row["left_at"]) == (
        "2025-09-30T14:00:00+02:00",
        "2025-09-30T15:00:00+02:00",
    )
    (now,) = download(staff, "segmentation.membership")
    assert (now["segment"], now["left_at"]) == (member.segment.key, "")


def test_delivery_says_in_words_why_it_was_not_sent(staff: Client) -> None:
    delivery = make_delivery(state="dropped", reason="opted_out", finished_at=NOW)

    (row,) = download(staff, "interventions.delivery", state__exact="dropped")
    assert (row["state"], row["reason"]) == ("dropped", "the learner does not want these messages")
    assert row["cadence"] == delivery.run.cadence.key
    assert row["ghost"] == "false"
    assert download(staff, "interventions.delivery", state__exact="planned") == []
    held = make_delivery()
    pause_cadence(held.run.cadence_id, paused=True, now=NOW)
    (row,) = download(staff, "interventions.delivery", state__exact="planned")
    assert row["reason"] == "somebody has paused its cadence"


def test_entries_and_leavings_are_a_file(staff: Client) -> None:
    course = make_course()
    make_transition(make_enrollment(course), make_any_segment(course))

    (row,) = download(staff, "segmentation.transition")
    assert (row["kind"], row["cause"], row["starts"]) == ("enter", "event", "true")
    assert row["occurred_at"] == "2025-09-30T13:00:00+01:00"


def test_filter_that_no_list_knows_leads_to_the_list(staff: Client) -> None:
    response = staff.get(address_of("activity.learner"), {"color": "red"})

    assert (response.status_code, response["Location"]) == (
        302, address_of("activity.learner", "changelist"),
    )  # fmt: skip


def test_file_is_read_in_batches_with_the_same_queries(
    staff: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exports, "_BATCH", 7)
    for _ in range(30):
        make_delivery()
    with CaptureQueriesContext(connection) as context:
        assert len(download(staff, "interventions.delivery")) == Delivery.objects.count() == 30
    # Session, user, the page of the list, its savepoint, and one statement for the file.
    assert len(context.captured_queries) <= 8


@pytest.mark.parametrize("page", PAGES, ids=LISTS)
def test_every_column_is_documented(page: Any) -> None:
    text = (ROOT / "docs" / "exports.md").read_text()
    title = str(page.opts.verbose_name_plural)
    section = re.search(
        rf"^## {title}$(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL | re.IGNORECASE
    )

    assert section is not None
    rows = re.findall(r"^\| `(\w+)` \| (.+) \|$", section.group(1), re.MULTILINE)
    assert rows == [(column.name, column.meaning) for column in page.export.columns]


def test_columns_have_each_name_once() -> None:
    for page in PAGES:
        names = [column.name for column in page.export.columns]
        assert len(names) == len(set(names))
