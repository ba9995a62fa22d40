"""The preview of a segment shows the number of its members in a sentence, and changes nothing."""

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.urls import reverse

from segmentation.admin import preview
from segmentation.models import Membership, Segment
from tests.factories import NOW, act, make_course, make_enrollment
from tests.segmentation.factories import ACTED_TODAY, make_playbook, make_segment, where

pytestmark = pytest.mark.django_db


@pytest.fixture
def staff(client):
    client.force_login(get_user_model().objects.create_superuser("staff"))
    return client


@pytest.fixture
def course():
    """Return a course with a stopped clock, in which one of two learners was active today."""
    course = make_course(clock_stopped_at=NOW, title="Botany")
    act(make_enrollment(course))
    make_enrollment(course)
    return course


@pytest.fixture
def draft(course):
    return make_segment(make_playbook(course), ACTED_TODAY, active=False)


def preview_url(segment):
    return reverse("admin:segmentation_segment_preview", args=(segment.pk,))


def text(staff, segment, **query):
    response = staff.get(preview_url(segment), query)
    assert response.status_code == 200
    return response.content.decode()


def test_segment_page_links_to_its_preview(staff, draft):
    page = staff.get(reverse("admin:segmentation_segment_change", args=(draft.pk,)))

    assert preview_url(draft) in page.content.decode()


def test_preview_counts_future_members_and_adds_none(staff, draft):
    shown = text(staff, draft)

    assert "1 of the 2 enrollments of Botany" in shown
    assert "30 Sep 2025, 13:00 BST" in shown
    assert "Active on at least 1 of the last 1 day" in shown
    assert not Membership.objects.exists()


def test_preview_uses_the_chosen_course(staff, draft):
    other = make_course(title="Zoology", clock_stopped_at=NOW)

    assert "0 of the 0 enrollments of Zoology" in text(staff, draft, course=other.pk)


@pytest.mark.parametrize(
    ("rule", "sentence"),
    [
        (where("quiz_pass_rate", "<", 60), "0.6 is 60%"),
        (where("charm", ">=", 7), "rules[0].field: &#x27;charm&#x27; is not a signal"),
    ],
)
def test_preview_of_a_faulty_rule_shows_the_error(staff, draft, rule, sentence):
    Segment.objects.update(rule=rule)

    assert sentence in text(staff, draft)


def test_preview_leaves_large_courses_to_the_command(staff, draft, monkeypatch):
    monkeypatch.setattr(preview, "LARGEST_COURSE", 1)

    assert "preview_rule" in text(staff, draft)


def test_preview_that_takes_too_long_is_ended(staff, draft, monkeypatch):
    # The limit is a thousandth of a second, so the reading cannot end in time.
    monkeypatch.setattr(preview, "LONGEST_SECONDS", 0.0001)

    assert "The database could not answer within 0.0001 seconds." in text(staff, draft)


def test_preview_needs_the_permission_to_see_segments(client, draft):
    user = get_user_model().objects.create_user("reader", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename="view_learner"))
    client.force_login(user)

    assert client.get(preview_url(draft)).status_code == 403


def test_empty_list_that_only_the_engine_fills_offers_nothing_to_create(staff):
    shown = staff.get(reverse("admin:activity_event_changelist")).content.decode()

    assert "Nothing here yet." in shown
    assert "Create a new item" not in shown
    assert "event/add/" not in shown


def test_empty_list_that_staff_fills_offers_to_add(staff):
    shown = staff.get(reverse("admin:segmentation_playbook_changelist")).content.decode()

    assert "Nothing here yet." in shown
    assert reverse("admin:segmentation_playbook_add") in shown


def test_search_without_a_result_shows_a_sentence(staff, draft):
    url = reverse("admin:activity_learner_changelist")

    assert "Nothing matches." in staff.get(url, {"q": "Nobody"}).content.decode()
