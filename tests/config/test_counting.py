"""In a large course, a page opens without its slow numbers and asks for them."""

from datetime import timedelta

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import User
from django.core.cache import cache
from django.db import connection, connections
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from config.views import counting
from segmentation.models import Membership, Segment
from segmentation.queries import counts
from tests.factories import NOW, make_enrollment
from tests.interventions.factories import make_live_course
from tests.segmentation.factories import ACTED_TODAY, make_playbook, make_segment

pytestmark = pytest.mark.django_db
ASKED = {"counted": "1"}


@pytest.fixture
def user() -> User:
    return get_user_model().objects.create_superuser("staff")


@pytest.fixture
def staff(client: Client, user: User) -> Client:
    client.force_login(user)
    return client


@pytest.fixture
def segment(monkeypatch: pytest.MonkeyPatch) -> Segment:
    """Return a segment with 3 members in a course that counts as large."""
    cache.clear()
    monkeypatch.setattr(counting, "LARGE", 2)
    course = make_live_course(title="Biology")
    segment = make_segment(make_playbook(course), ACTED_TODAY, name="Busy")
    for _ in range(3):
        Membership.objects.create(
            segment=segment,
            enrollment=make_enrollment(course),
            entered_at=NOW - timedelta(days=1),
            version=1,
        )
    return segment


PAGES = {
    "course-home": lambda segment: segment.playbook.courses.get().pk,
    "segment": lambda segment: segment.pk,
    "playbook": lambda segment: segment.playbook_id,
}
# What each page says with its numbers.
SAID = {
    "course-home": 'aria-label="3 learners in Busy"',
    "segment": "3 learners are in this segment now.",
    "playbook": "3 in Biology",
}
each_page = pytest.mark.parametrize("name", PAGES)


def address_of(name: str, segment: Segment) -> str:
    return reverse(name, args=(PAGES[name](segment),))


def reads_of_members(queries: CaptureQueriesContext) -> list[str]:
    """Return the statements that read memberships or count more enrollments than the limit."""
    return [
        query["sql"]
        for query in queries
        if "segmentation_membership" in query["sql"]
        or ('FROM "activity_enrollment"' in query["sql"] and "LIMIT" not in query["sql"])
    ]


@each_page
@pytest.mark.slow
def test_page_of_a_large_course_reads_no_members_until_it_is_asked(
    name: str, staff: Client, segment: Segment
) -> None:
    address = address_of(name, segment)
    with CaptureQueriesContext(connection) as queries:
        page = staff.get(address).text

    assert reads_of_members(queries) == []
    assert "being counted" in page
    assert f'hx-get="{address}?counted=1" hx-trigger="load"' in page
    # Without a script, or if the request fails.
    assert f'href="{address}?counted=1">count again</a>' in page
    assert SAID[name] not in page
    asked = staff.get(address, ASKED).text
    assert SAID[name] in asked
    assert "being counted" not in asked


@each_page
def test_page_of_a_small_course_has_its_numbers(
    name: str, staff: Client, segment: Segment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counting, "LARGE", 3)

    page = staff.get(address_of(name, segment)).text

    assert SAID[name] in page
    assert "being counted" not in page


def test_chosen_course_is_asked_for_too(staff: Client, segment: Segment) -> None:
    course = segment.playbook.courses.get()

    page = staff.get(address_of("segment", segment), {"course": course.pk}).text

    assert f"?course={course.pk}&amp;counted=1" in page


@each_page
def test_user_has_one_count_at_a_time(
    name: str, staff: Client, user: User, segment: Segment
) -> None:
    address = address_of(name, segment)
    other = connections.create_connection("default")
    with other.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s, %s)", [counts._TURN, user.pk])
        page = staff.get(address, ASKED).text
    other.close()

    assert SAID[name] not in page
    assert f'hx-get="{address}?counted=1" hx-trigger="load delay:2s"' in page
    assert SAID[name] in staff.get(address, ASKED).text


def test_numbers_are_shown_again_for_a_while_with_their_instant(
    client: Client, staff: Client, segment: Segment
) -> None:
    address = address_of("segment", segment)
    staff.get(address, ASKED)

    with CaptureQueriesContext(connection) as queries:
        again = staff.get(address).text

    assert reads_of_members(queries) == []
    assert SAID["segment"] in again
    assert "Counted on " in again
    assert f'href="{address}?counted=1">Count again' in again
    # They hold only what this user may see.
    client.force_login(get_user_model().objects.create_superuser("other"))
    assert "being counted" in client.get(address).text


def test_numbers_are_kept_no_longer_than_they_are_worth(
    staff: Client, segment: Segment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counting, "KEPT_TIMES", 0)
    address = address_of("playbook", segment)
    staff.get(address, ASKED)

    assert "being counted" in staff.get(address).text


def test_file_of_a_playbook_has_its_numbers_also_for_a_large_course(
    staff: Client, segment: Segment
) -> None:
    file = staff.get(reverse("playbook-markdown", args=(segment.playbook_id,)))

    assert "Members: 3 in Biology." in file.text
    assert "are missing" not in file.text


def test_file_of_a_playbook_waits_for_the_count_of_its_page(
    staff: Client, segment: Segment, monkeypatch: pytest.MonkeyPatch
) -> None:
    turns = iter([False, False, True])
    monkeypatch.setattr(counting, "take_turn", lambda user_id: next(turns))
    monkeypatch.setattr(counting, "SECONDS_TO_TURN", 0.01)

    file = staff.get(reverse("playbook-markdown", args=(segment.playbook_id,)))

    assert "Members: 3 in Biology." in file.text


def test_file_of_a_playbook_says_why_its_numbers_are_missing(
    staff: Client, user: User, segment: Segment, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = reverse("playbook-markdown", args=(segment.playbook_id,))
    monkeypatch.setattr(counting, "LONGEST_SECONDS", 0.001)
    monkeypatch.setattr(counting, "SECONDS_TO_TURN", 0.01)
    with monkeypatch.context() as patch:
        patch.setattr(counting, "take_turn", lambda user_id: False)
        assert "are missing. You count something else just now." in staff.get(address).text

    sleep_in_each_reading_of_members()
    file = staff.get(address)

    assert "are missing. The database could not answer within 0.001 seconds." in file.text
    assert "## Busy (active)" in file.text
    assert "Members:" not in file.text


def sleep_in_each_reading_of_members() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "ALTER TABLE segmentation_membership RENAME TO kept;"
            " CREATE VIEW segmentation_membership AS SELECT kept.* FROM kept, pg_sleep(1)"
        )


def test_count_that_takes_too_long_says_so(
    staff: Client, segment: Segment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counting, "LONGEST_SECONDS", 0.001)
    sleep_in_each_reading_of_members()

    page = staff.get(address_of("segment", segment), ASKED)

    assert page.status_code == 200
    assert "The database could not answer" in page.text
    assert "hx-trigger" not in page.text
