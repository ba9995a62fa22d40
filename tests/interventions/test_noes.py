"""Every "no" goes through one function, and none is missed, from any source."""

from datetime import timedelta
from typing import Any

import pytest

from activity.models import Learner, PendingNo
from activity.operations import RosterError, ingest, save_learner
from activity.operations.jsonl import import_jsonl
from interventions.models import Consent, Delivery, Suppression
from interventions.operations import save_preferences, unsubscribe
from interventions.render.links import LinkOwner
from interventions.stages.recover import recover
from tests.factories import NOW, make_event, make_learner
from tests.interventions.factories import (
    dispatch,
    make_cadence,
    make_delivery,
    make_evaluated,
    make_live_course,
    mark_evaluated,
)

pytestmark = pytest.mark.django_db

EARLIER = NOW - timedelta(hours=1)
LATER = NOW + timedelta(minutes=1)


def owner_of(delivery: Delivery) -> LinkOwner:
    return LinkOwner(delivery.learner_id, delivery.enrollment_id, delivery.key)


def feed(delivery: Delivery, verb: str, *, at=EARLIER, **fields: Any) -> None:
    """Ingest an event of the learner, as a feed does."""
    ingest([make_event(delivery.enrollment, verb, occurred_at=at, source="lms", **fields)], now=NOW)
    mark_evaluated(delivery.enrollment)


def roster(delivery: Delivery, **values: Any) -> None:
    save_learner({"external_id": delivery.learner.external_id, **values}, now=NOW)


def listed(address: str, **values: Any) -> Any:
    pairs = "".join(f', "{name}": "{value}"' for name, value in values.items())
    line = f'{{"type": "optout", "email": "{address}"{pairs}}}'
    return import_jsonl([line.encode()], now=NOW)


WAYS = {
    "page": lambda each: unsubscribe(owner_of(each), source="page", now=NOW),
    "one click": lambda each: unsubscribe(owner_of(each), source="one_click", now=NOW),
    "preferences": lambda each: save_preferences(
        owner_of(each), wanted=(), source="preferences", now=NOW
    ),
    "feed": lambda each: feed(each, "UNSUBSCRIBED"),
    "complaint": lambda each: feed(each, "EMAIL_COMPLAINED"),
    "hard bounce": lambda each: feed(each, "EMAIL_BOUNCED", properties={"bounce_type": "hard"}),
    "roster": lambda each: roster(each, opted_out=True),
    "list": lambda each: listed(each.learner.email.upper()),
}


@pytest.mark.parametrize("way", WAYS)
def test_nothing_goes_out_after_a_no_even_before_a_stage_applies_it(way: str) -> None:
    delivery = make_delivery()

    WAYS[way](delivery)

    assert dispatch(LATER)[0] == []
    delivery.refresh_from_db()
    assert delivery.state == "dropped"
    assert not PendingNo.objects.exists()


@pytest.mark.parametrize("way", WAYS)
def test_nothing_goes_out_after_a_no_that_a_stage_has_applied(way: str) -> None:
    first = make_delivery()
    Delivery.objects.update(send_at=NOW + timedelta(days=1))

    WAYS[way](first)
    recover(now=NOW)

    assert not PendingNo.objects.exists()
    late = make_delivery(first.enrollment)
    assert dispatch(LATER)[0] == []
    late.refresh_from_db()
    assert late.reason in ("opted_out", "suppressed")


@pytest.mark.parametrize(
    ("way", "source"),
    [
        ("page", "page"),
        ("one click", "one_click"),
        ("preferences", "preferences"),
        ("feed", "feed"),
        ("complaint", "feed"),
        ("roster", "roster"),
        ("list", "import"),
    ],
)
def test_each_consent_names_its_source(way: str, source: str) -> None:
    WAYS[way](make_delivery())
    recover(now=NOW)

    assert Consent.objects.get().source == source


def test_a_no_of_one_learner_stops_all_learners_of_the_mailbox() -> None:
    course = make_live_course()
    family = [make_learner(email=each) for each in ("us@example.org", "US@example.org")]
    first, second = (make_delivery(make_evaluated(course, each)) for each in family)

    feed(second, "UNSUBSCRIBED")

    assert dispatch(LATER)[0] == []
    first.refresh_from_db()
    assert (first.state, first.reason) == ("dropped", "unsubscribed")


def test_an_opt_out_of_an_address_that_no_learner_has_yet_waits_for_them() -> None:
    listed("Ana@Example.org")
    recover(now=NOW)
    delivery = make_delivery(make_evaluated(learner=make_learner(email="ana@example.org")))

    assert dispatch(LATER)[0] == []
    delivery.refresh_from_db()
    assert delivery.reason == "opted_out"


def test_a_complaint_stays_even_if_the_roster_opts_in() -> None:
    delivery = make_delivery()
    feed(delivery, "EMAIL_COMPLAINED")
    recover(now=NOW)

    roster(delivery, opted_out=False, email=delivery.learner.email)
    save_preferences(
        owner_of(delivery), wanted={delivery.category_id}, source="preferences", now=LATER
    )
    mark_evaluated(delivery.enrollment)
    late = make_delivery(delivery.enrollment, make_cadence(category=delivery.category))

    assert dispatch(LATER)[0] == []
    late.refresh_from_db()
    assert late.reason == "suppressed"
    assert Suppression.objects.get().reason == "complained"


def test_no_roster_line_revokes_a_no() -> None:
    delivery = make_delivery()
    unsubscribe(owner_of(delivery), source="page", now=NOW)
    for values in ({"opted_out": True}, {"opted_out": False}, {"email": "new@example.org"}):
        roster(delivery, **values)
    recover(now=NOW)
    mark_evaluated(delivery.enrollment)
    make_delivery(delivery.enrollment)

    assert dispatch(LATER)[0] == []


def come_back(delivery: Delivery) -> Delivery:
    """Let the learner opt in to the category again, and plan a message of it."""
    category = delivery.category
    save_preferences(owner_of(delivery), wanted={category.pk}, source="preferences", now=LATER)
    mark_evaluated(delivery.enrollment)
    return make_delivery(delivery.enrollment, make_cadence(category=category))


@pytest.mark.parametrize("way", ["feed", "roster", "list"])
def test_a_repeated_no_does_not_stop_a_learner_who_has_opted_in_again(way: str) -> None:
    delivery = make_delivery()
    WAYS[way](delivery)
    recover(now=NOW)
    back = come_back(delivery)

    WAYS[way](delivery)
    recover(now=LATER)

    assert [each.message_id for each in dispatch(LATER)[0]] == [f"<{back.key}@testserver>"]


def test_a_later_no_stops_a_learner_who_has_opted_in_again() -> None:
    delivery = make_delivery()
    feed(delivery, "UNSUBSCRIBED")
    recover(now=NOW)
    come_back(delivery)
    later = LATER + timedelta(minutes=1)
    event = make_event(delivery.enrollment, "UNSUBSCRIBED", occurred_at=later, source="lms")
    ingest([event], now=later)
    mark_evaluated(delivery.enrollment)

    assert dispatch(later)[0] == []


@pytest.mark.parametrize(
    ("verb", "properties"),
    [
        ("EMAIL_COMPLAINED", {"feedback_type": "not-spam"}),
        ("EMAIL_BOUNCED", {}),
        ("EMAIL_BOUNCED", {"bounce_type": "soft"}),
        ("EMAIL_BOUNCED", {"status": "4.2.2"}),
    ],
)
def test_events_that_are_not_a_no_stop_nothing(verb: str, properties: dict[str, str]) -> None:
    delivery = make_delivery()

    feed(delivery, verb, properties=properties)

    assert len(dispatch(LATER)[0]) == 1
    assert not Suppression.objects.exists()


@pytest.mark.parametrize("properties", [{"bounce_type": "Permanent"}, {"status": "5.1.1"}])
def test_a_bounce_suppresses_the_address_that_bounced_not_the_new_one(
    properties: dict[str, str],
) -> None:
    delivery = make_delivery()
    old = delivery.learner.email
    assert len(dispatch()[0]) == 1
    roster(delivery, email="new@example.org")

    feed(delivery, "EMAIL_BOUNCED", at=NOW, properties=properties)
    make_delivery(delivery.enrollment)

    assert [each.address for each in dispatch(LATER)[0]] == ["new@example.org"]
    assert Suppression.objects.get().address == old


def test_a_bounce_may_name_its_address() -> None:
    delivery = make_delivery()

    feed(delivery, "EMAIL_BOUNCED", properties={"bounce_type": "hard", "address": "X@Example.org"})

    assert len(dispatch(LATER)[0]) == 1
    assert Suppression.objects.get().address == "x@example.org"


def test_a_no_that_cannot_be_applied_holds_back_only_its_learner() -> None:
    bad, good = make_delivery(), make_delivery()
    feed(bad, "UNSUBSCRIBED")
    # The mailbox of a consent cannot be so long.
    PendingNo.objects.update(learner=bad.learner, mailbox="x" * 320)
    Learner.objects.filter(pk=bad.learner_id).update(email=None)
    Consent._meta.get_field("mailbox")

    assert len(dispatch(LATER)[0]) in (1, 2)
    good.refresh_from_db()
    assert good.state == "handed_off"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b'{"type": "optout"}', "email is missing"),
        (b'{"type": "optout", "email": "nobody"}', "must be the address"),
        (b'{"type": "optout", "email": 5}', "must be the address"),
        (b'{"type": "optout", "email": "a@example.org", "x": 1}', "unknown"),
        (b'{"type": "optout", "email": "a@example.org", "said_at": "x"}', "said_at"),
    ],
)
def test_a_faulty_opt_out_line_stops_no_other_line(line: bytes, words: str) -> None:
    result = import_jsonl([line, b'{"type": "optout", "email": "b@example.org"}'], now=NOW)

    assert [fault.line for fault in result.faults] == [1]
    assert words in result.faults[0].message
    assert PendingNo.objects.get().mailbox == "b@example.org"


def test_an_opt_out_keeps_the_instant_at_which_it_was_said() -> None:
    listed("a@example.org", said_at="2020-01-01T00:00:00Z")
    recover(now=NOW)

    assert Consent.objects.get().changed_at.year == 2020


def test_opted_out_is_true_or_false() -> None:
    with pytest.raises(RosterError, match="opted_out must be true or false"):
        save_learner({"external_id": "ana", "opted_out": "yes"}, now=NOW)
