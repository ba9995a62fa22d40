"""Learners who share a mailbox share its caps and its consent."""

from collections import Counter
from datetime import timedelta

import pytest
from django.db import IntegrityError, connection
from django.test.utils import CaptureQueriesContext

from activity.models import Learner
from activity.operations import save_learner
from interventions.models import Consent, Delivery, Run
from interventions.operations import save_cap, save_preferences, suppress, unsubscribe
from interventions.policy.consent import is_wanted
from interventions.queries.limits import read_limits
from interventions.queries.preferences import wanted_of
from interventions.queries.situations import read_situations
from interventions.render.links import LinkOwner
from tests.factories import NOW, make_learner
from tests.interventions.factories import (
    dispatch,
    make_category,
    make_delivery,
    make_evaluated,
    make_live_course,
    mark_evaluated,
)

pytestmark = pytest.mark.django_db

LATER = NOW + timedelta(minutes=1)


def owner_of(delivery: Delivery) -> LinkOwner:
    return LinkOwner(delivery.learner_id, delivery.enrollment_id, delivery.key)


def make_family() -> tuple[Delivery, Delivery]:
    """Return a due message for each of two learners who share a mailbox and a course."""
    course = make_live_course()
    spellings = ("family@example.org", "Family@Example.ORG")
    first, second = (make_evaluated(course, make_learner(email=each)) for each in spellings)
    delivery = make_delivery(first)
    return delivery, make_delivery(second, delivery.run.cadence)


def test_a_cap_of_one_lets_one_message_through_to_a_mailbox() -> None:
    save_cap("one a day", limit=1, window="rolling_hours", length=24)
    _, second = make_family()

    sent, _ = dispatch()

    assert len(sent) == 1
    second.refresh_from_db()
    assert (second.state, second.reason) == ("planned", "frequency_cap")
    assert second.send_at == NOW + timedelta(hours=24)


def test_a_cap_counts_messages_to_the_mailbox_before_its_learner_changed_address() -> None:
    save_cap("one a day", limit=1, window="rolling_hours", length=24)
    first, second = make_family()
    Delivery.objects.filter(pk=second.pk).update(send_at=LATER)
    assert len(dispatch()[0]) == 1
    save_learner({"external_id": first.learner.external_id, "email": "new@example.org"}, now=NOW)

    assert dispatch(LATER)[0] == []


def test_an_opt_out_stops_messages_to_all_learners_of_the_mailbox() -> None:
    first, second = make_family()

    unsubscribe(owner_of(first), source="page", now=NOW)

    assert dispatch(LATER)[0] == []
    for delivery in (first, second):
        delivery.refresh_from_db()
        assert (delivery.state, delivery.reason) == ("dropped", "unsubscribed")
    late = make_delivery(second.enrollment)
    assert dispatch(LATER)[0] == []
    late.refresh_from_db()
    assert (late.state, late.reason) == ("dropped", "opted_out")


def test_leaving_and_rejoining_a_category_hold_for_the_mailbox() -> None:
    first, second = make_family()
    save_preferences(owner_of(first), wanted=set(), source="preferences", now=NOW)
    assert dispatch(LATER)[0] == []

    save_preferences(owner_of(second), wanted={first.category_id}, source="preferences", now=LATER)
    mark_evaluated(first.enrollment, second.enrollment)
    again = make_delivery(first.enrollment, category=first.category)

    sent, _ = dispatch(LATER)
    assert [each.message_id for each in sent] == [f"<{again.key}@testserver>"]


def test_a_no_stays_with_the_mailbox_and_goes_with_the_learner() -> None:
    first, second = make_family()
    unsubscribe(owner_of(first), source="page", now=NOW)
    save_learner({"external_id": first.learner.external_id, "email": "new@example.org"}, now=NOW)
    mark_evaluated(first.enrollment, second.enrollment)
    make_delivery(first.enrollment)
    make_delivery(second.enrollment)

    assert dispatch(LATER)[0] == []


def test_yes_for_another_mailbox_does_not_undo_the_no_of_this_one() -> None:
    owner = make_delivery(make_evaluated(learner=make_learner(email="b@example.org")))
    unsubscribe(owner_of(owner), source="page", now=NOW)
    other = make_delivery(make_evaluated(learner=make_learner(email="a@example.org")))
    wanted = {other.category_id}
    save_preferences(owner_of(other), wanted=wanted, source="preferences", now=LATER)
    save_learner({"external_id": other.learner.external_id, "email": "B@example.org"}, now=LATER)
    mark_evaluated(other.enrollment)

    learner = Learner.objects.get(pk=other.learner_id)
    assert wanted_of(learner.pk, "b@example.org") == set()
    assert dispatch(LATER)[0] == []
    read = read_situations([learner], limits=read_limits(), now=LATER)[learner.pk]
    assert not is_wanted(other.category_id, read.words, needs_opt_in=False)

    # A yes at the mailbox itself counts.
    save_preferences(owner_of(other), wanted=wanted, source="preferences", now=LATER)
    assert wanted_of(learner.pk, "b@example.org") == wanted


def test_a_no_stays_with_the_mailbox_when_its_learner_is_deleted() -> None:
    first, _ = make_family()
    unsubscribe(owner_of(first), source="page", now=NOW)
    Delivery.objects.all().delete()
    Run.objects.all().delete()
    Learner.objects.all().delete()

    assert Consent.objects.get().mailbox == "family@example.org"
    make_delivery(make_evaluated(learner=make_learner(email="family@example.org")))
    assert dispatch(LATER)[0] == []


def test_a_learner_without_address_keeps_a_no_of_their_own_and_takes_it_along() -> None:
    one, other = (make_delivery(make_evaluated(learner=make_learner(email=None))) for _ in range(2))
    unsubscribe(owner_of(one), source="page", now=NOW)
    assert Consent.objects.get().mailbox == ""
    Learner.objects.filter(pk=one.learner_id).update(email="one@example.org")
    Learner.objects.filter(pk=other.learner_id).update(email="other@example.org")
    mark_evaluated(one.enrollment, other.enrollment)
    make_delivery(one.enrollment)

    sent, _ = dispatch(LATER)

    assert [each.address for each in sent] == ["other@example.org"]
    Delivery.objects.all().delete()
    Run.objects.all().delete()
    Learner.objects.all().delete()
    assert not Consent.objects.exists()


def test_an_opt_in_of_one_counts_for_the_mailbox() -> None:
    news = make_category(needs_opt_in=True)
    first, second = make_family()
    Delivery.objects.update(category=news)
    wanted = {news.pk, first.run.cadence.category_id}
    save_preferences(owner_of(first), wanted=wanted, source="preferences", now=NOW)
    mark_evaluated(first.enrollment, second.enrollment)

    assert dispatch(LATER)[1] == Counter({"handed_off": 2})


def test_two_domains_that_are_equal_only_in_idna_2003_are_two_mailboxes() -> None:
    lea = make_delivery(make_evaluated(learner=make_learner(email="lea@straße.example")))
    suppress("lea@strasse.example", reason="complained", now=NOW)

    sent, _ = dispatch()

    assert [each.address for each in sent] == ["lea@xn--strae-oqa.example"]
    lea.refresh_from_db()
    assert lea.address == "lea@xn--strae-oqa.example"
    suppress("Lea@Straße.example", reason="complained", now=NOW)
    mark_evaluated(lea.enrollment)
    make_delivery(lea.enrollment)
    assert dispatch(LATER)[0] == []


@pytest.mark.parametrize(
    "address", ["ana@☃.example", "ana@xn--zzzz\N{CYRILLIC SMALL LETTER A}.example"]
)
def test_an_address_whose_domain_no_mail_reaches_is_kept_as_unusable(address: str) -> None:
    learner = save_learner({"external_id": "ana", "email": address}, now=NOW)

    assert (learner.email, learner.unusable_email) == (None, address)


def test_a_roster_that_is_imported_again_changes_no_address() -> None:
    values = {"external_id": "lea", "email": "lea@straße.example"}
    assert save_learner(values, now=NOW).email == "lea@xn--strae-oqa.example"

    with CaptureQueriesContext(connection) as queries:
        save_learner(values, now=NOW)

    assert not [each["sql"] for each in queries if 'UPDATE "activity_learner"' in each["sql"]]


def test_the_database_refuses_an_address_that_sql_could_not_compare() -> None:
    make_learner(email="")
    assert Learner.objects.get().email is None
    with pytest.raises(IntegrityError, match="learner_email_is_ascii"):
        Learner.objects.update(email="jörg@example.org")
