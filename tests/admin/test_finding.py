"""Search for a learner, and the links from a learner's page to all rows of the learner."""

import re
from html import unescape

import pytest
from django.contrib import admin
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.db import connection
from django.test import RequestFactory
from django.urls import reverse

from activity.admin.roster import ABOUT
from activity.models import Learner
from interventions.models import Category, Consent
from segmentation.stages.evaluate import evaluate_due
from tests.factories import NOW, act, make_course, make_enrollment, make_learner
from tests.segmentation.factories import make_playbook, make_segment, where

pytestmark = pytest.mark.django_db

QUIET = where("active_days", "<", 1, window=7)


@pytest.fixture
def staff(client):
    client.force_login(get_user_model().objects.create_superuser("staff"))
    return client


def found(staff, text):
    response = staff.get(reverse("admin:activity_learner_changelist"), {"q": text})
    return {learner.name for learner in response.context["cl"].result_list}


def links(response):
    """Return the links above the form, by their words."""
    pattern = r'<a href="([^"]*)"[^>]*>([^<]+)</a>'
    navigation = re.search(
        r'<nav aria-label="Related lists.*?</nav>', response.content.decode(), re.DOTALL
    )
    assert navigation
    return {title: unescape(url) for url, title in re.findall(pattern, navigation.group())}


def rows(staff, url):
    response = staff.get(url)
    assert response.status_code == 200, url
    return list(response.context["cl"].result_list)


@pytest.mark.parametrize(
    "text", ["Kit Berg", "kit b", "  Kit Berg ", "Kit", "kit 7", "KIT@example.org"]
)
def test_learner_is_found_by_beginning_of_name_or_whole_id_or_address(staff, text):
    make_learner(name="Kit Berg", external_id="kit 7", email="kit@example.org")
    make_learner(name="Berg Kit")

    assert found(staff, text) == {"Kit Berg"}


@pytest.mark.parametrize("text", ["Berg", "kit 8", "example.org"])
def test_part_of_a_name_id_or_address_finds_no_learner(staff, text):
    make_learner(name="Kit Berg", external_id="kit 7", email="kit@example.org")

    assert found(staff, text) == set()


def test_search_for_learners_reads_three_indexes_not_the_table(staff):
    request = RequestFactory().get("/")
    searched, _ = admin.site._registry[Learner].get_search_results(
        request, Learner.objects.all(), "Kit Berg"
    )
    with connection.cursor() as cursor:
        # A small table is always read whole. This forces the use of an index where there is one.
        cursor.execute("SET LOCAL enable_seqscan = off; SET LOCAL enable_indexscan = off")
    plan = searched.order_by().explain()

    assert "BitmapOr" in plan
    assert "learner_by_name" in plan
    assert "learner_by_email" in plan
    assert "external_id" in plan


@pytest.mark.slow
def test_learner_page_links_to_what_belongs_to_the_learner_alone(staff):
    course = make_course(live_since=NOW)
    make_segment(make_playbook(course), QUIET)
    category = Category.objects.create(key="nudges", name="Nudges")
    for learner in (make_learner(external_id="with space"), make_learner()):
        act(make_enrollment(course, learner))
        Consent.objects.create(
            learner=learner, category=category, state="out", changed_at=NOW, source="page"
        )
    evaluate_due(now=NOW)
    mine = Learner.objects.get(external_id="with space")

    page = links(staff.get(reverse("admin:activity_learner_change", args=(mine.pk,))))

    assert {row.learner for row in rows(staff, page["Enrollments"])} == {mine}
    assert {row.learner for row in rows(staff, page["Consent"])} == {mine}
    assert {row.enrollment.learner for row in rows(staff, page["Events"])} == {mine}
    for title in ("In segments", "Left segments", "Entered and left", "Messages", "Experiments"):
        assert {row.enrollment.learner for row in rows(staff, page[title])} <= {mine}


@pytest.mark.slow
def test_enrollment_page_links_to_what_belongs_to_the_enrollment_alone(staff):
    learner = make_learner()
    mine, other = (make_enrollment(make_course(), learner) for _ in range(2))
    act(mine)
    act(other)

    page = links(staff.get(reverse("admin:activity_enrollment_change", args=(mine.pk,))))

    assert rows(staff, page["Learner"]) == [learner]
    for title in ("Events", "Daily activity"):
        assert {row.enrollment for row in rows(staff, page[title])} == {mine}
    for title in (
        "In segments",
        "Left segments",
        "Entered and left",
        "Messages",
        "Experiments",
        "Progress",
    ):
        assert rows(staff, page[title]) == []


def test_page_links_only_to_lists_that_the_user_may_see(client):
    user = get_user_model().objects.create_user("reader", is_staff=True)
    allowed = ("view_learner", "view_event")
    user.user_permissions.set(Permission.objects.filter(codename__in=allowed))
    client.force_login(user)

    page = client.get(reverse("admin:activity_learner_change", args=(make_learner().pk,)))

    assert set(links(page)) == {"Events", ABOUT}


def test_page_of_a_new_learner_links_to_nothing(staff):
    page = staff.get(reverse("admin:activity_learner_add"))

    assert "Related lists" not in page.content.decode()
