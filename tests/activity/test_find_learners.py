"""A learner is found by any word of the name, by address and by id, without reading the table."""

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.db import connection
from django.test import Client
from django.urls import reverse

from activity.access import COMMAND_LINE
from activity.models import Learner
from activity.queries import find_learners
from activity.queries.learners import MOST_FOUND, NameWords
from tests.factories import make_course, make_enrollment, make_learner

pytestmark = pytest.mark.django_db


def found(text: str) -> set[str]:
    return {each.external_id for each in find_learners(text, viewer=COMMAND_LINE).learners}


@pytest.fixture
def people() -> None:
    make_learner(external_id="a-1", name="José Müller-Berg", email="jose@example.org")
    make_learner(external_id="a-2", name="Kit O'Berg", email="Kit@example.org")
    make_learner(external_id="Berg", name="", email=None)
    make_learner(external_id="c-1", name="zita.silva Jean/Luc Sam-12 D\u2019Orc", email=None)
    make_learner(external_id="c-2", name="Анна Øre", email=None)


@pytest.mark.usefixtures("people")
@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("kit", {"a-2"}),
        ("BERG", {"a-1", "a-2", "Berg"} - {"Berg"}),
        ("Berg", {"a-1", "a-2", "Berg"}),
        ("jose", {"a-1"}),
        ("José", {"a-1"}),
        ("Jose\u0301", {"a-1"}),
        ("mul", {"a-1"}),
        ("berg jo", {"a-1"}),
        ("berg, jo", {"a-1"}),
        ("o'berg", {"a-2"}),
        ("KIT@EXAMPLE.ORG", {"a-2"}),
        ("kit@example", set()),
        ("a-1", {"a-1"}),
        ("a-", set()),
        ("erg", set()),
        ("'", set()),
        ("& | ! :* <->", set()),
        ("kit & !jose", set()),
        ("silva", {"c-1"}),
        ("luc", {"c-1"}),
        ("12", {"c-1"}),
        ("orc", {"c-1"}),
        ("анн", {"c-2"}),
        ("øre", {"c-2"}),
    ],
)
def test_learner_is_found(text: str, ids: set[str]) -> None:
    assert found(text) == ids


def test_finding_reads_indexes_and_two_queries(django_assert_num_queries) -> None:
    course = make_course()
    for _ in range(3):
        make_enrollment(course, make_learner(name="Kit Berg"))
    with django_assert_num_queries(2):
        shown = find_learners("kit", viewer=COMMAND_LINE)
        assert [str(each.enrollments.all()[0].course) for each in shown.learners] == [
            str(course)
        ] * 3


def test_search_reads_the_index_of_words() -> None:
    with connection.cursor() as cursor:
        # An empty table is read as cheaply along its primary key. An index of words is never
        # read by this kind of scan, so the choice is left between it and no index.
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute("SET LOCAL enable_indexscan = off")
    plan = Learner.objects.alias(words=NameWords("name")).filter(words="kit").explain()

    assert "learner_by_words" in plan


def test_more_than_fit_are_said_to_be_more() -> None:
    Learner.objects.bulk_create(
        Learner(external_id=f"many-{number}", name="Kit Berg") for number in range(MOST_FOUND + 1)
    )

    shown = find_learners("berg", viewer=COMMAND_LINE)

    assert (len(shown.learners), shown.has_more) == (MOST_FOUND, True)


@pytest.fixture
def staff(client: Client) -> Client:
    user = get_user_model().objects.create_user("bo", is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="view_learner"))
    client.force_login(user)
    return client


@pytest.mark.usefixtures("people")
def test_page_shows_equal_names_with_their_ids_and_leads_to_the_only_one(staff: Client) -> None:
    one = make_learner(external_id="b-1", name="Ana Lee")
    address = reverse("activity:find")

    assert staff.get(address, {"q": "ana"}).url == f"/learners/{one.pk}/"
    make_learner(external_id="b-2", name="Ana Lee")
    page = staff.get(address, {"q": "ana"}).text
    assert "b-1" in page
    assert "b-2" in page
    assert "No learner is called" in staff.get(address, {"q": "zoe"}).text
    assert "Type a name" in staff.get(address).text


def test_page_is_for_those_who_may_see_learners(client: Client) -> None:
    address = reverse("activity:find")

    assert client.get(address).status_code == 302
    client.force_login(get_user_model().objects.create_user("cy", is_staff=True))
    assert client.get(address).status_code == 403
    assert "Find a learner" not in client.get(reverse("admin:index")).text


def test_every_page_of_staff_has_the_box(staff: Client) -> None:
    for address in (reverse("admin:index"), reverse("admin:activity_learner_changelist")):
        assert 'role="search"' in staff.get(address).text
