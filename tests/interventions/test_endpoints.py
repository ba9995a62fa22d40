"""The endpoints of webhooks: each gets what is its own, fails alone, and loses no message."""

import pytest

from config.views.today import today_for
from interventions.channels import Answer, Outcome, Result
from interventions.channels.lines import Lines
from interventions.channels.webhook import (
    WEBHOOK,
    WebhookConnection,
    WebhookMessage,
    record_webhooks,
)
from interventions.models import WebhookEndpoint
from interventions.operations import save_endpoint
from tests.factories import NOW
from tests.http_sink import HttpSink
from tests.interventions import test_webhooks
from tests.interventions.factories import make_live_course
from tests.interventions.test_webhooks import (
    BAD_URLS,
    DAY,
    MINUTE,
    SECOND,
    dispatch,
    make_due,
    make_endpoint,
)

pytestmark = pytest.mark.django_db
private_network, other_sink = test_webhooks.private_network, test_webhooks.other_sink


def test_messages_of_a_course_never_go_to_another_endpoint_than_its_own(
    http_sink: HttpSink, other_sink: HttpSink
) -> None:
    course = make_live_course()
    own = make_endpoint(other_sink, course)
    make_endpoint(http_sink)
    own.active = False
    save_endpoint(own)
    delivery = make_due(course)

    assert dispatch() == {"planned": 1}

    delivery.refresh_from_db()
    assert (delivery.reason, http_sink.asked) == ("not_set_up", [])
    own.active = True
    save_endpoint(own)
    assert dispatch(NOW + DAY) == {"handed_off": 1}
    assert (len(other_sink.posted), http_sink.asked) == (1, [])


@pytest.mark.slow
def test_an_endpoint_that_is_gone_is_switched_off_and_loses_no_message(
    http_sink: HttpSink, other_sink: HttpSink, admin_user
) -> None:
    course = make_live_course(ends_on=(NOW + 30 * DAY).date())
    endpoint = make_endpoint(http_sink, course)
    make_endpoint(other_sink)
    waiting = [make_due(course, expires_at=NOW + 7 * DAY) for _ in range(6)]
    http_sink.status = 410

    dispatch()
    # The settings of admins are read again each second.
    dispatch(NOW + MINUTE)

    endpoint.refresh_from_db()
    assert (endpoint.active, endpoint.disabled_at) == (False, NOW)
    assert endpoint.last_error.startswith("410 ")
    for delivery in waiting:
        delivery.refresh_from_db()
        assert (delivery.state, delivery.reason) == ("planned", "not_set_up")
        assert delivery.attempts == 0
    said = [item.sentence for item in today_for(admin_user, now=NOW).tasks]
    assert any("webhook endpoint" in each and "no longer exists" in each for each in said)
    endpoint.active = True
    save_endpoint(endpoint)
    http_sink.status = 200
    assert not [item for item in today_for(admin_user, now=NOW).tasks if "webhook" in item.sentence]
    assert dispatch(NOW + DAY) == {"handed_off": 6}
    assert other_sink.asked == []


def test_an_answer_of_the_address_before_says_nothing_about_the_new_one(
    http_sink: HttpSink, other_sink: HttpSink
) -> None:
    endpoint = make_endpoint(http_sink)
    tried = WebhookMessage(endpoint.pk, endpoint.url, b"", {}, NOW)
    endpoint.url = other_sink.url
    save_endpoint(endpoint)

    record_webhooks([Outcome(make_due(), tried, Answer(Result.CHANNEL_DOWN, "410 Gone"))], now=NOW)

    endpoint.refresh_from_db()
    assert (endpoint.active, endpoint.last_error) == (True, "")


def test_an_endpoint_keeps_the_reason_for_which_it_was_switched_off(http_sink: HttpSink) -> None:
    endpoint, delivery = make_endpoint(http_sink), make_due()
    message = WebhookMessage(endpoint.pk, endpoint.url, b"", {}, NOW)
    http_sink.status = 410
    line = WebhookConnection()
    answers = [line.send(message), line.send(message)]
    record_webhooks([Outcome(delivery, message, each) for each in answers], now=NOW)

    # Another worker's request was on its way meanwhile.
    late = Answer(Result.CHANNEL_DOWN, "TimeoutError", of_one_endpoint=True)
    record_webhooks([Outcome(delivery, message, late)], now=NOW + MINUTE)

    endpoint.refresh_from_db()
    assert len(http_sink.asked) == 1
    assert (endpoint.active, endpoint.disabled_at) == (False, NOW)
    assert endpoint.last_error.startswith("410 ")


@pytest.mark.parametrize("url", BAD_URLS[4:])
@pytest.mark.sampled(3)
def test_an_endpoint_that_no_request_can_reach_holds_up_only_itself(
    http_sink: HttpSink, url: str
) -> None:
    course = make_live_course()
    make_endpoint(http_sink)
    mistyped = make_endpoint(http_sink, course)
    # Before the page refused such addresses, they could be saved.
    WebhookEndpoint.objects.filter(pk=mistyped.pk).update(url=url)
    delivery = make_due(course, priority=1)
    make_due(priority=2)

    assert dispatch() == {"planned": 1, "handed_off": 1}

    delivery.refresh_from_db()
    mistyped.refresh_from_db()
    assert (delivery.reason, delivery.attempts) == ("channel_down", 0)
    assert mistyped.last_error
    assert mistyped.down_until == NOW + 30 * SECOND


def test_an_error_in_one_message_does_not_stop_the_other_endpoints() -> None:
    lines = Lines(WEBHOOK)

    (answer,) = lines.begin([None]).answers()

    lines.close()
    assert (answer.result, answer.stops_the_channel) == (Result.IN_DOUBT, False)
