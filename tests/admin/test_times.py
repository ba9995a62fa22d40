"""Every page of staff shows instants with their zone."""

import re
from html import unescape

import pytest
from django.contrib.auth import get_user_model
from django.test import Client
from django.urls import reverse

from activity.models import Course, Enrollment
from interventions.models import MailboxMessage, Pause
from interventions.operations import PauseNote, pause_site
from segmentation.models import Segment
from tests.admin.menu import leave_out_menu
from tests.admin.populated import populate
from tests.admin.test_access import lists, pages_of
from tests.factories import NOW
from tests.interventions.factories import make_counted
from tests.long import longer

pytestmark = pytest.mark.django_db
ZONE = "Asia/Tokyo"
TIME = re.compile(r"\b\d{1,2}:\d\d(?::\d\d)?\b")
# Hours of a day, as quiet hours are named.
HOURS = re.compile(r"\b\d\d:\d\d to \d\d:\d\d\b")
# An abbreviation, a name in brackets, or a time of day that has no zone: by a learner's clock.
ZONED = re.compile(r"^ (?:JST|UTC|\(Asia/Tokyo\)|\(UTC\))|^[^.]{0,80}\bclock\b")


@pytest.fixture
def staff(client: Client) -> Client:
    client.force_login(get_user_model().objects.create_superuser("staff"))
    return client


@pytest.fixture
def course() -> Course:
    """Return a course with rows of every model, in a zone of its own."""
    course = populate("Ant")
    Course.objects.filter(pk=course.pk).update(time_zone=ZONE)
    MailboxMessage.objects.create(recipient="a@example.org", subject="Hello", received_at=NOW)
    pause_site(paused=True, now=NOW, note=PauseNote("ana", "wrong text"))
    pause_site(paused=False, now=NOW, note=PauseNote("bo"))
    return course


def without_zone(client: Client, address: str) -> list[str]:
    """Return the places of a page with a time that names no zone."""
    answer = client.get(address, follow=True)
    assert answer.status_code == 200, address
    page = re.sub(r"<(script|style|svg).*?</\1>", " ", answer.text, flags=re.DOTALL)
    text = re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", page)))
    text = HOURS.sub("", text)
    return [
        f"{address}: {text[max(0, found.start() - 40) : found.end() + 40]}"
        for found in TIME.finditer(text)
        if not ZONED.search(text[found.end() :])
    ]


def own_pages(course: Course) -> list[str]:
    enrollment, segment = Enrollment.objects.get(), Segment.objects.get()
    return [
        reverse("home"),
        reverse("courses"),
        reverse("course-home", args=(course.pk,)),
        reverse("segment", args=(segment.pk,)),
        reverse("playbook", args=(segment.playbook_id,)),
        reverse("learner", args=(enrollment.learner_id,)),
        reverse("experiments:report-list"),
        reverse("interventions:mailbox"),
        reverse("interventions:mailbox_message", args=(MailboxMessage.objects.get().pk,)),
        reverse("interventions:new_nudge"),
        reverse("segmentation:rule", args=(segment.pk,)),
    ]


@pytest.mark.slow
@pytest.mark.parametrize(
    "part", [0, *longer("test_every_list_and_every_page_of_a_row_names_the_zone", 1)]
)
def test_every_list_and_every_page_of_a_row_names_the_zone(
    staff: Client, course: Course, monkeypatch: pytest.MonkeyPatch, part: int
) -> None:
    # Pages of our own, which are looked at below, have the same menu.
    leave_out_menu(monkeypatch)
    pages = [*lists().values()]
    for number, row in enumerate(filter(None, (each._default_manager.first() for each in lists()))):
        # The page of the history is the same one for all models.
        pages += pages_of(row, "change", *(["history"] if number % 5 == 0 else []))

    assert len(pages) > 80
    # Of each two pages one: lists and rows stand one after the other.
    found = [place for address in pages[part::2] for place in without_zone(staff, address)]
    assert not found, "\n".join(found)


def test_every_page_of_our_own_names_the_zone(staff: Client, course: Course) -> None:
    found = [place for address in own_pages(course) for place in without_zone(staff, address)]

    assert found == []


def test_time_without_a_zone_is_found(staff: Client, course: Course) -> None:
    Course.objects.update(title="Class of 08:15")

    assert without_zone(staff, reverse("courses"))


def test_mail_is_shown_in_the_zone_of_its_course(staff: Client, course: Course) -> None:
    delivery = make_counted(Enrollment.objects.get(), NOW)
    type(delivery).objects.filter(pk=delivery.pk).update(message_id="<one@example.org>")
    MailboxMessage.objects.update(message_id="<one@example.org>")
    mail = MailboxMessage.objects.get()

    for address in ("/mailbox/", f"/mailbox/{mail.pk}/"):
        assert f"Tuesday 30 September 2025, 21:00 ({ZONE})" in staff.get(address).text


def test_pause_of_a_cadence_is_shown_in_the_zone_of_its_course(
    staff: Client, course: Course
) -> None:
    Pause.objects.exclude(cadence=None).update(began_at=NOW)

    text = staff.get(reverse("admin:interventions_sitepause_changelist")).text

    assert f"since Tuesday 30 September 2025, 21:00 ({ZONE})" in text
    assert "since Tuesday 30 September 2025, 12:00 (UTC)" in text
