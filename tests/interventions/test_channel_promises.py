"""The promises to learners hold on every channel, and a channel refuses what it lacks."""

import pytest

from activity.operations.roster import save_learner
from interventions.channels import Feature, UnsupportedError
from interventions.models import Delivery
from interventions.operations import save_cap, unsubscribe
from interventions.render.links import LinkOwner
from interventions.render.liquid import TemplateError
from interventions.stages.dispatch import dispatch_due
from interventions.stages.recover import recover
from tests.factories import NOW, act, make_learner
from tests.interventions import test_channels
from tests.interventions.factories import SUBJECT, make_cadence, make_evaluated, make_run
from tests.interventions.test_channels import HOUR
from tests.interventions.ways import Way

pytestmark = pytest.mark.django_db
memory, email, task = test_channels.memory, test_channels.email, test_channels.task
in_app, webhook, way = test_channels.in_app, test_channels.webhook, test_channels.way


def test_nobody_gets_anything_after_saying_no(way: Way) -> None:
    """Case M1: the no comes from the feed, while the message is planned."""
    delivery = way.make()
    act(delivery.enrollment, "UNSUBSCRIBED", occurred_at=NOW, source="lms")

    way.dispatch()
    recover(now=NOW)

    delivery.refresh_from_db()
    assert (delivery.state, way.arrived(), way.events()) == ("dropped", [], 0)


def test_learners_with_one_mailbox_share_the_cap_and_the_no(way: Way) -> None:
    """Case M3: a mailbox is what is spammed, whatever way a message takes."""
    save_cap("one a day", limit=1, window="rolling_hours", length=24)
    cadence = make_cadence()
    family = [
        way.make(run=make_run(make_evaluated(learner=make_learner(**values)), cadence))
        for values in (
            way.reachable | {"email": "family@example.org"},
            way.reachable | {"email": "Family@example.org"},
        )
    ]

    assert way.dispatch() == {"handed_off": 1, "planned": 1}

    unsubscribe(
        LinkOwner(family[0].learner_id, family[0].enrollment_id, family[0].key),
        now=NOW,
        source="one_click",
    )
    later = NOW + 25 * HOUR
    dispatch_due(clock=lambda: later, channels={way.name: way.channel})
    assert len(way.arrived()) == 1
    assert {each.state for each in Delivery.objects.all()} == {"handed_off", "dropped"}


def test_learner_who_complained_stays_out_when_a_roster_comes_again(way: Way) -> None:
    """Case M10."""
    delivery = way.make(**way.reachable | {"email": "ana@example.org"})
    act(delivery.enrollment, "EMAIL_COMPLAINED", occurred_at=NOW)
    recover(now=NOW)
    line = {"external_id": delivery.learner.external_id, "email": "ana@example.org"}
    save_learner(line | {"opted_out": False}, now=NOW)
    other = way.make(run=make_run(delivery.enrollment, make_cadence()))

    way.dispatch()

    other.refresh_from_db()
    assert (other.state, way.arrived()) == ("dropped", [])


def test_a_channel_refuses_what_it_does_not_support(way: Way) -> None:
    bodies = {
        Feature.PICTURES: '<p>See <img src="https://example.org/a.png" alt="a"></p>',
        Feature.TABLES: "<table><tr><td>1</td></tr></table>",
        Feature.SEVERAL_LINKS: '<p><a href="https://a.org/1">1</a> <a href="https://a.org/2">2</a>',
    }
    for feature, body in bodies.items():
        if feature in way.channel.supports:
            way.channel.check(subject=SUBJECT, body=body)
            way.channel.require(feature)
        else:
            with pytest.raises(TemplateError, match=feature.value):
                way.channel.check(subject=SUBJECT, body=body)
            with pytest.raises(UnsupportedError, match=feature.value):
                way.channel.require(feature)
