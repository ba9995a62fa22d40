"""The list of deliveries: its filters, its search by name, and the numbers above it."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.cache import cache
from django.test import Client
from django.urls import reverse

from activity.switch import choose_course
from interventions.admin import ledger_filters
from interventions.models import Delivery, Step
from interventions.operations import pause_cadence
from tests.factories import NOW, make_learner
from tests.interventions.factories import (
    make_cadence,
    make_counted,
    make_delivery,
    make_evaluated,
    make_live_course,
    make_run,
)

pytestmark = pytest.mark.django_db
LIST = "admin:interventions_delivery_changelist"
LATER = NOW + timedelta(days=1)


@pytest.fixture
def staff(client: Client) -> Client:
    cache.clear()
    client.force_login(User.objects.create_superuser("staff"))
    return client


def make_dropped(reason: str = "opted_out", **fields: Any) -> Delivery:
    return make_delivery(**{"state": "dropped", "reason": reason, "finished_at": NOW, **fields})


def listed(staff: Client, **query: object) -> set[int]:
    """Return the ids of the messages in the list."""
    page = staff.get(reverse(LIST), query)
    assert page.status_code == 200
    return {row.pk for row in page.context["cl"].result_list}


def counts(staff: Client, **query: object) -> dict[str, int]:
    """Return the numbers above the list by their words, as the page writes them."""
    page = staff.get(reverse("delivery-counts"), query)
    assert page.status_code == 200
    found = re.findall(r"<strong>([\d,]+)</strong> ([^<]+)</a>", page.text)
    return {words: int(number.replace(",", "")) for number, words in found}


def test_list_is_filtered_by_course_cadence_and_step(staff: Client) -> None:
    cadence = make_cadence(steps=2)
    first = make_delivery(make_evaluated(make_live_course()), cadence)
    second = make_delivery(make_evaluated(make_live_course()), cadence)
    other = make_delivery()
    last_step = Step.objects.filter(cadence=cadence).last()
    Delivery.objects.filter(pk=second.pk).update(step=last_step)

    assert listed(staff) == {first.pk, second.pk, other.pk}
    assert listed(staff, step__cadence__id__exact=cadence.pk) == {first.pk, second.pk}
    assert listed(staff, step__id__exact=last_step.pk) == {second.pk}
    course = first.enrollment.course_id
    assert listed(staff, enrollment__course__id__exact=course) == {first.pk}


def test_step_can_be_searched_for_by_its_cadence(staff: Client) -> None:
    step = make_cadence(name="Back on track").steps.get()
    make_cadence(name="Something else")
    asked = {"term": "back on", "app_label": "interventions", "model_name": "delivery"}

    found = staff.get(reverse("admin:autocomplete"), {**asked, "field_name": "step"})

    assert [each["id"] for each in found.json()["results"]] == [str(step.pk)]


def test_list_is_filtered_by_the_reason_that_holds_now(staff: Client) -> None:
    refused, plain = make_dropped(), make_delivery()
    held = make_delivery(reason="quiet_hours", send_at=LATER)
    pause_cadence(held.step.cadence_id, paused=True, now=NOW)

    assert listed(staff, reason="opted_out") == {refused.pk}
    assert listed(staff, reason="cadence_paused") == {held.pk}
    # Its stored reason is that of the time before the pause.
    assert listed(staff, reason="quiet_hours") == set()
    assert listed(staff, reason="none") == {plain.pk}


@pytest.mark.parametrize("text", ["ana berg", "BERG", "Àna", "berg ana", "a@example.org", "x-7"])
@pytest.mark.sampled(2)
def test_list_is_searched_by_name_address_and_id(staff: Client, text: str) -> None:
    ana = make_learner(name="Ana Berg", email="a@example.org", external_id="x-7")
    hers = make_delivery(make_evaluated(learner=ana))
    make_delivery(make_evaluated(learner=make_learner(name="Bo Berger-Lund", external_id="x-70")))

    assert hers.pk in listed(staff, q=text)
    assert listed(staff, q="x-7") == {hers.pk}
    assert listed(staff, q="Cy") == set()


def test_search_says_that_many_learners_have_the_name(
    staff: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger_filters, "MOST_LEARNERS", 2)
    for _ in range(2):
        make_delivery(make_evaluated(learner=make_learner(name="Kit")))
    assert "More than 2 learners" not in staff.get(reverse(LIST), {"q": "kit"}).text
    make_delivery(make_evaluated(learner=make_learner(name="Kit")))

    page = staff.get(reverse(LIST), {"q": "kit"})

    assert len(page.context["cl"].result_list) == 2
    assert "More than 2 learners" in page.text


def test_numbers_add_up_to_all_that_was_planned(staff: Client) -> None:
    make_counted(make_evaluated(), NOW)
    make_dropped(), make_dropped(), make_dropped("suppressed")
    make_delivery(), make_delivery(reason="quiet_hours", send_at=LATER)
    make_delivery(run=make_run(make_evaluated(), ghost=True), state="ghost", claimed_at=NOW)

    assert counts(staff) == {
        "messages were planned": 7,
        "Planned": 2,
        "it is within the quiet hours": 1,
        "their time has not come": 1,
        "Handed off": 1,
        "Ghost: would have been sent": 1,
        "Dropped": 3,
        "the learner does not want these messages": 2,
        "the address bounced for good, or its owner marked a message as spam": 1,
    }


def test_numbers_are_of_the_filters_in_force_and_each_leads_to_its_rows(staff: Client) -> None:
    cadence = make_cadence()
    dropped = make_dropped(enrollment=make_evaluated(), cadence=cadence)
    make_delivery(make_evaluated(), cadence)
    make_dropped()
    page = staff.get(
        reverse("delivery-counts"),
        {"step__cadence__id__exact": cadence.pk, "state__exact": "dropped", "p": "3"},
    ).text

    links = {
        address.replace("&amp;", "&"): (int(number), "aria-current" in chosen)
        for address, chosen, number in re.findall(
            r'<a href="([^"]+)"([^>]*)><strong>(\d+)</strong>', page
        )
    }

    assert sorted(links.values()) == [(1, False), (1, False), (1, True), (2, False)]
    for address, (number, _) in links.items():
        rows = staff.get(address).context["cl"].result_list
        assert len(rows) == number
    assert dropped.pk in {row.pk for row in rows}


def test_numbers_are_of_the_chosen_course(staff: Client) -> None:
    here = make_delivery()
    make_delivery()
    assert counts(staff)["messages were planned"] == 2
    session = staff.session
    choose_course(session, here.enrollment.course)
    session.save()

    assert counts(staff)["message was planned"] == 1


def test_list_asks_for_its_numbers_after_the_page(staff: Client) -> None:
    make_delivery()

    page = staff.get(reverse(LIST), {"state__exact": "planned"}).text

    address = f"{reverse('delivery-counts')}?state__exact=planned"
    assert f'hx-get="{address}" hx-trigger="load"' in page
    assert f'href="{address}"' in page
    assert "<main" in staff.get(address).text
    assert "<main" not in staff.get(address, headers={"HX-Request": "true"}).text


def test_empty_list_says_what_to_do_next(staff: Client) -> None:
    assert "No message has been planned yet" in staff.get(reverse("delivery-counts")).text
    make_delivery()
    cache.clear()
    empty = {"enrollment__course__id__exact": make_live_course().pk}

    assert "No message passes these filters." in staff.get(reverse("delivery-counts"), empty).text


@pytest.mark.parametrize("query", [{"step__id__exact": "x"}, {"nothing": "1"}])
def test_invalid_filters_lead_to_all_numbers(staff: Client, query: dict[str, str]) -> None:
    found = staff.get(reverse("delivery-counts"), query)

    assert (found.status_code, found.url) == (302, reverse("delivery-counts"))


def test_numbers_need_the_right_to_see_deliveries(client: Client) -> None:
    client.force_login(User.objects.create_user("clerk", is_staff=True))

    assert client.get(reverse("delivery-counts")).status_code == 403


def test_numbers_take_few_queries(staff: Client, django_assert_max_num_queries: Any) -> None:
    make_dropped()
    staff.get(reverse("delivery-counts"))

    with django_assert_max_num_queries(16):
        staff.get(reverse("delivery-counts"), {"counted": "1"})


def test_file_of_the_list_keeps_its_filters(staff: Client) -> None:
    make_dropped()
    held = make_delivery(make_evaluated(learner=make_learner(name="Ana", external_id="ana")))
    pause_cadence(held.step.cadence_id, paused=True, now=NOW)
    address = reverse("admin:interventions_delivery_export")

    for query in ({"reason": "cadence_paused"}, {"q": "ana"}):
        lines = b"".join(staff.get(address, query).streaming_content).decode().splitlines()
        assert len(lines) == 2
        assert "ana" in lines[1]
