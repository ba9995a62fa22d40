"""The contract of every channel, tested on a memory channel and on all that are shipped."""

from dataclasses import replace
from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse

from activity.models import DailyActivity, Event
from activity.verbs import NOT_ACTS
from interventions.channels import (
    CHANNELS,
    Answer,
    Outcome,
    Result,
)
from interventions.channels.memory import MemoryConnection, memory_channel
from interventions.models import Channel as Name
from interventions.models import Suppression
from interventions.operations import (
    InterventionError,
    resolve_in_doubt,
    save_template,
    suppress,
)
from interventions.operations.cache import DispatchCache
from interventions.operations.claim import claim_next
from interventions.operations.finish import Done, finish_deliveries
from interventions.queries.drafts import Recipient, draft_of
from interventions.render.context import SAMPLE
from interventions.render.liquid import TemplateError
from interventions.stages.dispatch import dispatch_due
from interventions.stages.recover import recover
from tests.factories import NOW, act, make_learner
from tests.http_sink import HttpSink
from tests.interventions.factories import (
    BODY,
    SUBJECT,
    make_cadence,
    make_category,
    make_counted,
    make_evaluated,
    make_run,
    make_template,
)
from tests.interventions.ways import (
    Way,
    email_way,
    in_app_way,
    memory_way,
    task_way,
    webhook_way,
)
from tests.smtp import SmtpSink

pytestmark = pytest.mark.django_db

HOUR = timedelta(hours=1)


PERSONAL = ["memory", "email"]
LOCAL = ["task", "in_app"]
REMOTE = ["memory", "email", "webhook"]


@pytest.fixture
def memory(monkeypatch: pytest.MonkeyPatch) -> Way:
    return memory_way(monkeypatch)


@pytest.fixture
def email(smtp_sink: SmtpSink, settings) -> Way:
    return email_way(smtp_sink, settings)


@pytest.fixture
def task() -> Way:
    return task_way()


@pytest.fixture
def in_app() -> Way:
    return in_app_way()


@pytest.fixture
def webhook(http_sink: HttpSink, settings) -> Way:
    return webhook_way(http_sink, settings)


@pytest.fixture(params=sorted({*PERSONAL, *LOCAL, *REMOTE}))
def way(request: pytest.FixtureRequest) -> Way:
    return request.getfixturevalue(request.param)


@pytest.fixture(params=PERSONAL)
def personal(request: pytest.FixtureRequest) -> Way:
    """Return a channel that does not reach every learner."""
    return request.getfixturevalue(request.param)


@pytest.fixture(params=REMOTE)
def remote(request: pytest.FixtureRequest) -> Way:
    """Return a channel that can refuse, hang and be away."""
    return request.getfixturevalue(request.param)


@pytest.fixture(params=LOCAL)
def local(request: pytest.FixtureRequest) -> Way:
    """Return a channel of rows of our own."""
    return request.getfixturevalue(request.param)


def test_a_message_reaches_the_address_and_is_logged_under_the_channels_own_verb(way: Way) -> None:
    delivery = way.make()

    assert way.dispatch() == {"handed_off": 1}

    delivery.refresh_from_db()
    address = way.channel.address(delivery.learner)
    assert way.arrived() == [address] == [delivery.address]
    (event,) = Event.objects.all()
    assert (event.verb, event.source_id) == (way.channel.verb, delivery.message_id)
    # A message is not an act of the learner.
    assert not DailyActivity.objects.exists()
    assert way.dispatch() == {}


def test_a_learner_without_an_address_gets_nothing(personal: Way) -> None:
    delivery = personal.make(**personal.unreachable)

    assert personal.dispatch() == {"dropped": 1}

    delivery.refresh_from_db()
    assert delivery.reason == "no_address"
    assert personal.arrived() == []


def test_nothing_goes_to_a_suppressed_address(way: Way) -> None:
    delivery = way.make()
    suppress(way.channel.address(delivery.learner), reason="manual", now=NOW)

    assert way.dispatch() == {"dropped": 1}

    delivery.refresh_from_db()
    assert delivery.reason == "suppressed"
    assert way.arrived() == []


def test_a_mailbox_that_bounces_does_not_close_another_channel(memory: Way) -> None:
    memory.make(traits={"pigeonhole": "4b"}, email="ana@example.org")
    suppress("ana@example.org", reason="hard_bounce", now=NOW)
    channels = {"email": memory_channel(MemoryConnection()), memory.name: memory.channel}

    assert dispatch_due(clock=lambda: NOW, channels=channels) == {"handed_off": 1}


def test_a_bounce_without_an_address_is_of_the_last_mail_and_of_no_later_note(memory: Way) -> None:
    learner = make_learner(traits={"pigeonhole": "4b"}, email="ana@example.org")
    enrollment = make_evaluated(learner=learner)
    make_counted(enrollment, NOW - 2 * HOUR, address="ana@example.org")
    make_counted(enrollment, NOW - HOUR, address="4b", channel="memory", cadence=make_cadence())
    act(enrollment, "EMAIL_BOUNCED", occurred_at=NOW, properties={"bounce_type": "hard"})

    recover(now=NOW)

    assert [each.address for each in Suppression.objects.all()] == ["ana@example.org"]


def test_a_ghost_is_composed_and_never_sent(way: Way) -> None:
    learner = make_learner(**way.reachable)
    ghost = way.make(run=make_run(make_evaluated(learner=learner), ghost=True))

    assert way.dispatch() == {"ghost": 1}

    ghost.refresh_from_db()
    assert (way.arrived(), way.events()) == ([], 0)
    assert ghost.address == way.channel.address(learner)


@pytest.mark.parametrize(
    ("trouble", "state", "reason"),
    [
        ("refuse", "failed", "refused"),
        ("put off", "planned", "not_accepted"),
        ("hang up", "in_doubt", ""),
    ],
)
def test_the_other_sides_answer_becomes_the_state(
    remote: Way, trouble: str, state: str, reason: str
) -> None:
    delivery = remote.make()
    remote.have_it(trouble)

    assert remote.dispatch() == {state: 1}

    delivery.refresh_from_db()
    assert (delivery.state, delivery.reason, remote.events()) == (state, reason, 0)
    assert delivery.attempts == 1


def test_no_attempt_counts_while_the_other_side_is_down(remote: Way) -> None:
    delivery = remote.make()
    remote.have_it("be away")

    # One side of several is known to be away only after an attempt.
    assert remote.dispatch().keys() <= {"planned"}

    delivery.refresh_from_db()
    assert (delivery.state, delivery.attempts) == ("planned", 0)
    remote.have_it("come back")
    assert remote.dispatch(NOW + HOUR) == {"handed_off": 1}


def test_a_text_that_cannot_be_composed_fails_alone(way: Way) -> None:
    template = make_template()
    cadence = make_cadence(template=template)
    template.texts.update(body="{{ learner.shoe_size }}")
    learner = make_learner(**way.reachable)
    broken = way.make(run=make_run(make_evaluated(learner=learner), cadence))
    way.make(run=make_run(make_evaluated(learner=learner)))

    assert way.dispatch() == {"failed": 1, "handed_off": 1}

    broken.refresh_from_db()
    assert (broken.reason, broken.attempts) == ("render_error", 0)
    assert "shoe_size" in broken.trace[-1]["detail"]


def test_opening_and_closing_twice_does_no_harm(way: Way) -> None:
    way.make()
    connection = way.channel.connect()
    for do in (connection.close, connection.open) * 2:
        do()
        do()
    way.channel = replace(way.channel, connect=lambda: connection)

    assert way.dispatch() == {"handed_off": 1}


def test_texts_are_checked_and_shown_with_example_values(way: Way) -> None:
    way.channel.check(subject=SUBJECT, body=BODY)
    with pytest.raises(TemplateError, match="shoe_size"):
        way.channel.check(subject=SUBJECT, body="{{ learner.shoe_size }}")

    shown = way.channel.preview(make_template().texts.get())

    assert (shown.subject, "Hello Ana" in shown.html) == ("Next up in Statistics", True)


def test_a_message_that_staff_record_as_accepted_is_logged_under_the_same_verb(remote: Way) -> None:
    delivery = remote.make()
    remote.have_it("hang up")
    remote.dispatch()

    resolve_in_doubt(delivery.pk, accepted=True, now=NOW)

    assert remote.events() == Event.objects.count() == 1


def test_a_worker_that_dies_before_the_record_has_handed_off_nothing(local: Way) -> None:
    delivery = local.make()
    cache = DispatchCache({local.name: local.channel})
    turn = claim_next({delivery.learner_id: local.name}, room={local.name: 1}, now=NOW, cache=cache)
    (claim,) = turn.claims
    local.channel.connect().send(claim.message)
    lapsed = claim.lease_until + HOUR

    recover(now=lapsed)

    delivery.refresh_from_db()
    assert (delivery.state, delivery.reason) == ("planned", "lease_expired")
    assert (delivery.attempts, local.arrived()) == (0, [])
    # The slow worker records after all, and the next one finds nothing to do.
    done = Done(claim, Answer(Result.HANDED_OFF))
    assert finish_deliveries([done], now=lapsed) == ["handed_off"]
    assert finish_deliveries([done], now=lapsed) == [None]
    assert local.dispatch() == {}
    assert (len(local.arrived()), local.events()) == (1, 1)


def test_a_record_that_is_written_again_changes_nothing(local: Way) -> None:
    delivery = local.make()
    local.dispatch()
    delivery.refresh_from_db()
    to = Recipient(delivery.learner, "")
    draft = draft_of(delivery, make_template().texts.get(), to, SAMPLE, now=NOW)
    again = Outcome(delivery, local.channel.compose(draft), Answer(Result.HANDED_OFF))

    assert local.channel.record is not None
    local.channel.record([again, again], now=NOW + HOUR)

    assert len(local.arrived()) == 1


def test_a_template_keeps_its_channel(memory: Way) -> None:
    fields = {"name": "New", "category": make_category(), "texts": {"en": (SUBJECT, BODY)}}
    template = save_template("new", channel=memory.name, **fields)
    assert template.channel == memory.name

    with pytest.raises(InterventionError, match=r"is for memory. Choose another key"):
        save_template("new", channel="email", **fields)

    template.refresh_from_db()
    assert (template.channel, template.version) == (memory.name, 1)


def test_page_asks_for_the_channel_of_a_new_template_where_there_are_several(
    admin_client: Client, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in CHANNELS.keys() - {"email"}:
        monkeypatch.delitem(CHANNELS, name)
    add = reverse("admin:interventions_messagetemplate_add")
    change = reverse("admin:interventions_messagetemplate_change", args=[make_template().pk])
    assert 'name="channel"' not in admin_client.get(add).text

    request.getfixturevalue("memory")

    assert 'name="channel"' in admin_client.get(add).text
    assert 'name="channel"' not in admin_client.get(change).text


def test_every_name_has_its_channel_with_a_verb_of_its_own() -> None:
    assert set(CHANNELS) == set(Name.values)
    verbs = [channel.verb for channel in CHANNELS.values()]
    assert len(set(verbs)) == len(verbs)
    # A verb that is not built in as "no act" would count as an act of the learner.
    assert set(verbs) <= set(NOT_ACTS)
