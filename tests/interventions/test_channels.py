"""The contract of every channel, tested on a memory channel and on email."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse

from activity.models import DailyActivity, Event, Learner, Verb
from activity.verbs import NOT_ACTS
from interventions.channels import CHANNELS, Answer, Channel, Result
from interventions.channels.email import EMAIL
from interventions.channels.memory import MemoryConnection, memory_channel
from interventions.models import Channel as Name
from interventions.models import Delivery, Suppression
from interventions.operations import InterventionError, resolve_in_doubt, save_template, suppress
from interventions.render.liquid import TemplateError
from interventions.stages.dispatch import dispatch_due
from interventions.stages.recover import recover
from tests.factories import NOW, act, make_learner
from tests.interventions.factories import (
    BODY,
    SUBJECT,
    make_cadence,
    make_category,
    make_counted,
    make_delivery,
    make_evaluated,
    make_run,
    make_template,
)
from tests.smtp import SmtpSink

pytestmark = pytest.mark.django_db

HOUR = timedelta(hours=1)


def pigeonhole(learner: Learner) -> str:
    """Return the number of the learner's pigeonhole, or an empty text."""
    return str(learner.traits.get("pigeonhole", ""))


@dataclass
class Way:
    """A channel with its other side: its received messages, and a way to make it refuse."""

    name: str
    channel: Channel
    reachable: dict[str, object]
    unreachable: dict[str, object]
    arrived: Callable[[], list[str]]
    have_it: Callable[[str], None]

    def make(self, *, run=None, **learner) -> Delivery:
        """Return a due message of the channel."""
        if run is None:
            run = make_run(make_evaluated(learner=make_learner(**(learner or self.reachable))))
        return make_delivery(run=run, channel=self.name)

    def dispatch(self) -> dict[str, int]:
        return dict(dispatch_due(clock=lambda: NOW, channels={self.name: self.channel}))

    def events(self) -> int:
        return Event.objects.filter(verb=self.channel.verb).count()


@pytest.fixture
def memory(monkeypatch: pytest.MonkeyPatch) -> Way:
    Verb.objects.create(name="NOTE_LEFT", is_act=False)
    connection = MemoryConnection()
    notes = replace(memory_channel(connection), verb="NOTE_LEFT", address=pigeonhole)
    monkeypatch.setitem(CHANNELS, "memory", notes)
    answers = {
        "refuse": Answer(Result.REFUSED, "no such pigeonhole"),
        "put off": Answer(Result.NOT_ACCEPTED, "it is full"),
        "hang up": Answer(Result.IN_DOUBT, "nobody knows"),
        "come back": Answer(Result.HANDED_OFF),
    }

    def have_it(trouble: str) -> None:
        connection.down = trouble == "be away"
        connection.answer = lambda message: answers.get(trouble, answers["hang up"])

    return Way(
        name="memory",
        channel=notes,
        reachable={"traits": {"pigeonhole": "4b"}, "email": None},
        unreachable={"email": "ana@example.org"},
        arrived=lambda: [message.address for message in connection.sent],
        have_it=have_it,
    )


@pytest.fixture
def email(smtp_sink: SmtpSink, settings) -> Way:
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = smtp_sink.host, smtp_sink.port
    settings.EMAIL_TIMEOUT = 5
    troubles = {
        "refuse": ("refuse_recipient", "550 No such user"),
        "put off": ("refuse_data", "452 Disk full"),
        "hang up": ("drop", True),
    }

    def have_it(trouble: str) -> None:
        if trouble in ("be away", "come back"):
            settings.EMAIL_PORT = 1 if trouble == "be away" else smtp_sink.port
        else:
            setattr(smtp_sink, *troubles[trouble])

    return Way(
        name="email",
        channel=EMAIL,
        reachable={"email": "ana@example.org"},
        unreachable={"traits": {"pigeonhole": "4b"}, "email": None},
        arrived=lambda: smtp_sink.recipients,
        have_it=have_it,
    )


@pytest.fixture(params=["memory", "email"])
def way(request: pytest.FixtureRequest) -> Way:
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


def test_a_learner_without_an_address_gets_nothing(way: Way) -> None:
    delivery = way.make(**way.unreachable)

    assert way.dispatch() == {"dropped": 1}

    delivery.refresh_from_db()
    assert delivery.reason == "no_address"
    assert way.arrived() == []


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
    way: Way, trouble: str, state: str, reason: str
) -> None:
    delivery = way.make()
    way.have_it(trouble)

    assert way.dispatch() == {state: 1}

    delivery.refresh_from_db()
    assert (delivery.state, delivery.reason, way.events()) == (state, reason, 0)
    assert delivery.attempts == 1


def test_nothing_is_claimed_while_the_other_side_is_down(way: Way) -> None:
    delivery = way.make()
    way.have_it("be away")

    assert way.dispatch() == {}

    delivery.refresh_from_db()
    assert (delivery.state, delivery.attempts) == ("planned", 0)
    way.have_it("come back")
    assert way.dispatch() == {"handed_off": 1}


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


def test_a_message_that_staff_record_as_accepted_is_logged_under_the_same_verb(way: Way) -> None:
    delivery = way.make()
    way.have_it("hang up")
    way.dispatch()

    resolve_in_doubt(delivery.pk, accepted=True, now=NOW)

    assert way.events() == Event.objects.count() == 1


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
