"""A week without events because of a feed: no learner is mailed until staff have decided."""

from datetime import timedelta

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.core import mail
from django.urls import reverse

from interventions.models import Category
from interventions.operations import CadenceFields, StepFields, save_cadence, save_template
from segmentation.models import Surge
from tests.factories import NOW
from tests.journeys.test_main_path import run_stages
from tests.segmentation.test_surges import WEEK, make_class, members

pytestmark = pytest.mark.django_db
MINUTE = timedelta(minutes=1)


@pytest.fixture(autouse=True)
def memory_mail(settings):
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"


@pytest.fixture
def surge():
    """Return the segment of quiet learners, which half of its course entered at midday."""
    segment, _ = make_class(24, 24)
    category = Category.objects.create(key="back", name="Back")
    texts = {"en": ("Come back", "<p>Come back.</p>")}
    template = save_template("back", name="Back", category=category, texts=texts)
    fields = CadenceFields(name="Back", category=category, segment=segment)
    save_cadence("back", fields=fields, steps=[StepFields(template)])
    run_stages(NOW + WEEK)
    run_stages(NOW + WEEK + MINUTE)
    assert len(members(segment)) == 24
    assert mail.outbox == []
    return segment


def staff_member(client, *rights):
    user = get_user_model().objects.create_user("staff", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=rights))
    client.force_login(user)
    return client


def pages(segment):
    return (
        reverse("admin:segmentation_segment_change", args=(segment.pk,)),
        reverse("admin:segmentation_segment_surges", args=(segment.pk,)),
    )


def text_of(client, address):
    return " ".join(client.get(address).content.decode().split())


def test_staff_see_waiting_entries_and_let_them_in(client, surge):
    staff = staff_member(client, "view_segment", "change_segment", "send_messages")
    page, decision = pages(surge)
    said = "24 of the 48 learners in scope"
    assert said in text_of(staff, page)
    assert "Let them in: 24 learners" in text_of(staff, decision)

    answer = staff.post(decision, {"let_in": Surge.objects.get().pk}, follow=True)
    assert "No entries wait" in answer.content.decode()
    run_stages(NOW + WEEK + 2 * MINUTE)
    assert len(mail.outbox) == 24
    run_stages(NOW + WEEK + 3 * MINUTE)
    assert len(mail.outbox) == 24
    assert Surge.objects.get().decided_by.username == "staff"
    assert said not in text_of(staff, page)


def test_staff_start_nothing_and_no_learner_is_mailed(client, surge):
    staff = staff_member(client, "view_segment", "change_segment")
    _, decision = pages(surge)
    staff.post(decision, {"discard": Surge.objects.get().pk})
    for minutes in (2, 3):
        run_stages(NOW + WEEK + minutes * MINUTE)
    assert mail.outbox == []
    assert len(members(surge)) == 24


def test_user_without_the_right_to_send_cannot_let_them_in(client, surge):
    staff = staff_member(client, "view_segment", "change_segment")
    _, decision = pages(surge)
    assert "Let them in" not in text_of(staff, decision)
    assert staff.post(decision, {"let_in": Surge.objects.get().pk}).status_code == 403
    assert Surge.objects.get().state == "held"


def test_earlier_decision_of_another_user_is_reported(client, surge):
    staff = staff_member(client, "view_segment", "change_segment", "send_messages")
    _, decision = pages(surge)
    key = Surge.objects.get().pk
    staff.post(decision, {"discard": key})
    answer = staff.post(decision, {"let_in": key}, follow=True)
    assert "has decided this already" in answer.content.decode()
    assert staff.post(decision, {"let_in": "nonsense"}).status_code == 404
