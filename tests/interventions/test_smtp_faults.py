"""A mail server that hangs, hangs up or refuses at each stage, and then works again."""

from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from time import monotonic

import pytest
from django.core.mail import EmailMessage

from activity.models import Event
from interventions.channels import Result, smtp
from interventions.channels.email import EmailConnection
from interventions.channels.smtp import SECONDS_OF_DISTRUST, SECONDS_OF_TRUST, Trust
from interventions.models import Delivery
from interventions.operations import resolve_in_doubt
from interventions.operations.finish import AFTER_CHANNEL_DOWN
from interventions.stages.dispatch import dispatch_due
from interventions.stages.recover import recover
from tests.factories import NOW
from tests.faulty_smtp import HANG, HANG_UP, STAGES, FaultySmtp, serve
from tests.interventions.factories import (
    make_cadence,
    make_delivery,
    make_evaluated,
    make_live_course,
)
from tests.long import longer

pytestmark = [pytest.mark.django_db, pytest.mark.slow]

BEAT = timedelta(seconds=5)
MESSAGES = 6


@pytest.fixture
def sink(settings, monkeypatch) -> Iterator[FaultySmtp]:
    with serve(FaultySmtp()) as sink:
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = sink.host, sink.port
        settings.EMAIL_TIMEOUT = 0.5
        # A server of an earlier test may have had the same port.
        monkeypatch.setattr(smtp, "TRUST", Trust())
        yield sink


def make_messages(number: int = MESSAGES) -> list[Delivery]:
    course, cadence = make_live_course(), make_cadence()
    return [make_delivery(make_evaluated(course), cadence) for _ in range(number)]


def beats(number: int, *, since: datetime = NOW) -> datetime:
    """Run the stage `number` times, five seconds apart. Return the instant of the next beat."""
    for beat in range(number):
        at = since + beat * BEAT
        dispatch_due(clock=lambda at=at: at)
        recover(now=at)
    return since + number * BEAT


def states() -> Counter[str]:
    return Counter(Delivery.objects.values_list("state", flat=True))


def in_doubt() -> set[str]:
    return set(Delivery.objects.filter(state="in_doubt").values_list("message_id", flat=True))


FAULTS = [
    *((stage, HANG_UP) for stage in STAGES),
    *((stage, HANG) for stage in STAGES if stage != "body"),
    *((stage, "421 closing") for stage in STAGES),
    ("MAIL", "550 sender refused"),
    ("MAIL", "451 later"),
    ("RCPT", "451 greylisted"),
    ("RCPT", "530 log in first"),
    ("DATA", "451 later"),
    ("end", "451 later"),
]
# Each hang waits for the time-out. The others begin and end as these do at another stage.
OTHERS = [
    *((stage, HANG) for stage in ("MAIL", "RCPT", "DATA")),
    *((stage, "421 closing") for stage in STAGES if stage not in ("MAIL", "end")),
]


@pytest.mark.parametrize(
    ("stage", "fault"),
    [
        *(each for each in FAULTS if each not in OTHERS),
        *longer(
            "test_after_a_fault_every_message_goes_out_once_or_was_seen_past_its_body", *OTHERS
        ),
    ],
    ids=lambda value: str(value).replace(" ", "_"),
)
@pytest.mark.sampled(
    "connect-hang_up", "MAIL-451_later", "RCPT-530_log_in_first", "DATA-hang_up", "body-hang_up",
    "end-hang_up", "end-hang", "end-421_closing",
)  # fmt: skip
def test_after_a_fault_every_message_goes_out_once_or_was_seen_past_its_body(
    sink: FaultySmtp, stage: str, fault: str
) -> None:
    make_messages()
    sink.stage, sink.fault = stage, fault
    after = beats(3)
    assert sink.accepted == []
    assert states()["failed"] == 0
    doubtful = in_doubt()
    assert doubtful <= set(sink.seen)

    sink.heal()
    beats(1, since=after + AFTER_CHANNEL_DOWN.longest)

    assert in_doubt() == doubtful
    assert states()["handed_off"] == MESSAGES - len(doubtful) == len(sink.accepted)
    assert len(set(sink.recipients())) == len(sink.accepted)
    assert Event.objects.filter(verb="EMAIL_SENT").count() == len(sink.accepted)


@pytest.mark.parametrize(
    "fault",
    [HANG_UP, *longer("test_after_an_error_of_the_connection_a_beat_tries_one_message", HANG)],
)
@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.sampled(3)
def test_after_an_error_of_the_connection_a_beat_tries_one_message(
    sink: FaultySmtp, stage: str, fault: str
) -> None:
    make_messages()
    sink.stage, sink.fault = stage, fault

    beats(1)

    untouched = Delivery.objects.filter(state="planned", reason="").count()
    # Without a greeting nothing is claimed.
    assert untouched == (MESSAGES if stage == "connect" else MESSAGES - 1)


def test_a_server_that_stops_reading_a_long_body_has_accepted_nothing(
    sink: FaultySmtp,
) -> None:
    sink.stage, sink.fault = "body", HANG
    channel = EmailConnection()
    channel.open()

    answer = channel.send(
        EmailMessage("Long", "A line of text.\n" * 500_000, to=["ana@example.org"])
    )

    assert answer.result is Result.CHANNEL_DOWN
    assert answer.may_be_the_message


def send_one(number: int = 1) -> Result:
    """Send a mail over a new connection."""
    connection = EmailConnection()
    connection.open()
    mail = EmailMessage("Hello", "Text", to=[f"ana{number}@example.org"])
    try:
        return connection.send(mail).result
    finally:
        connection.close()


def test_a_new_connection_to_a_server_that_accepts_mails_does_not_wait(
    sink: FaultySmtp, monkeypatch
) -> None:
    assert send_one(1) is Result.HANDED_OFF
    monkeypatch.setattr(smtp, "SECONDS_TO_LISTEN", 5.0)
    begun = monotonic()

    assert send_one(2) is Result.HANDED_OFF

    assert monotonic() - begun < 5.0


def test_after_a_server_has_hung_up_in_a_body_each_connection_waits_again(
    sink: FaultySmtp,
) -> None:
    assert send_one(1) is Result.HANDED_OFF
    sink.stage, sink.fault = "body", HANG_UP
    # It is trusted, so the end of the mail may be sent before the hang-up is seen.
    assert send_one(2) in (Result.CHANNEL_DOWN, Result.IN_DOUBT)
    sink.heal()
    assert send_one(3) is Result.HANDED_OFF
    sink.stage, sink.fault = "body", HANG_UP

    assert send_one(4) is Result.CHANNEL_DOWN


def test_a_refused_mail_costs_a_server_no_trust(sink: FaultySmtp, monkeypatch) -> None:
    assert send_one(1) is Result.HANDED_OFF
    sink.stage, sink.fault = "end", "550 spam"
    assert send_one(2) is Result.REFUSED
    sink.heal()
    monkeypatch.setattr(smtp, "SECONDS_TO_LISTEN", 5.0)
    begun = monotonic()

    assert send_one(3) is Result.HANDED_OFF

    assert monotonic() - begun < 5.0


def test_trust_ends_and_comes_back() -> None:
    trust, failed_at = Trust(), SECONDS_OF_TRUST * 2
    after = failed_at + SECONDS_OF_DISTRUST
    assert not trust.holds("a", now=0)
    trust.accepted("a", now=0)
    assert trust.holds("a", now=SECONDS_OF_TRUST - 1)
    assert not trust.holds("b", now=1)
    assert not trust.holds("a", now=SECONDS_OF_TRUST)

    trust.accepted("a", now=failed_at - 1)
    trust.failed("a", now=failed_at)
    assert not trust.holds("a", now=failed_at)
    trust.accepted("a", now=after - 1)
    assert not trust.holds("a", now=after - 1)
    trust.accepted("a", now=after)
    assert trust.holds("a", now=after)


def test_a_server_that_stops_reading_a_short_body_causes_one_doubt_per_beat(
    sink: FaultySmtp,
) -> None:
    # The whole mail with its end is in the buffers of the server's system, which may still read it.
    make_messages()
    sink.stage, sink.fault = "body", HANG

    beats(3)

    assert states() == {"in_doubt": 3, "planned": MESSAGES - 3}


def test_staff_settle_what_a_trusted_server_took_before_it_hung_up(sink: FaultySmtp) -> None:
    assert send_one(1) is Result.HANDED_OFF
    deliveries = make_messages(2)
    sink.stage, sink.fault, sink.keeps = "end", HANG_UP, True
    after = beats(2)
    sink.heal()
    assert states() == {"in_doubt": 2}
    taken = len(sink.accepted)

    for delivery, accepted in zip(deliveries, (True, False), strict=True):
        delivery.refresh_from_db()
        assert "closed" in delivery.trace[-1]["detail"]
        resolve_in_doubt(delivery.pk, accepted=accepted, now=after)
    beats(1, since=after + timedelta(days=1))

    assert states() == {"handed_off": 1, "failed": 1}
    # An answer alone sends nothing.
    assert len(sink.accepted) == taken
    assert Event.objects.filter(verb="EMAIL_SENT").count() == 1


@pytest.mark.parametrize("keeps", [True, False])
def test_a_mail_accepted_without_a_reply_is_never_sent_again(sink: FaultySmtp, keeps: bool) -> None:
    make_messages(1)
    sink.stage, sink.fault, sink.keeps = "end", HANG, keeps
    after = beats(2)
    sink.heal()
    beats(1, since=after + timedelta(days=1))

    assert states() == {"in_doubt": 1}
    assert len(sink.seen) == 1


@pytest.mark.parametrize(
    ("stage", "fault"),
    [
        ("MAIL", "550 sender refused"),
        ("end", "421 busy"),
        *longer(
            "test_a_channel_that_is_down_for_hours_uses_up_no_attempt",
            ("MAIL", "421 busy"),
            ("RCPT", "421 busy"),
        ),
    ],
)
def test_a_channel_that_is_down_for_hours_uses_up_no_attempt(
    sink: FaultySmtp, stage: str, fault: str
) -> None:
    (delivery,) = make_messages(1)
    sink.stage, sink.fault = stage, fault
    for minutes in range(0, 150, 15):
        beats(1, since=NOW + timedelta(minutes=minutes))

    delivery.refresh_from_db()
    assert (delivery.state, delivery.reason, delivery.attempts) == ("planned", "channel_down", 0)
    sink.heal()
    beats(1, since=NOW + timedelta(minutes=150))
    assert states() == {"handed_off": 1}


def test_a_channel_that_stays_down_lets_its_messages_expire(sink: FaultySmtp) -> None:
    (delivery,) = make_messages(1)
    sink.stage, sink.fault = "MAIL", "550 sender refused"
    beats(2, since=delivery.expires_at - timedelta(minutes=1))

    beats(1, since=delivery.expires_at)

    delivery.refresh_from_db()
    assert (delivery.state, delivery.reason) == ("expired", "channel_down")


def test_one_message_that_breaks_the_server_does_not_delay_the_others(
    sink: FaultySmtp,
) -> None:
    first, *others = make_messages(3)
    sink.stage, sink.fault = "body", HANG_UP
    beats(1)
    sink.heal()

    beats(1, since=NOW + BEAT)

    assert set(sink.recipients()) == {each.learner.email for each in others}
    first.refresh_from_db()
    assert (first.state, first.reason) == ("planned", "channel_down")


def test_a_message_that_may_be_the_cause_waits_longer_each_time(sink: FaultySmtp) -> None:
    (delivery,) = make_messages(1)
    sink.stage, sink.fault = "body", HANG_UP
    now, waits = NOW, []
    for _ in range(7):
        beats(1, since=now)
        delivery.refresh_from_db()
        waits.append((delivery.send_at - now).total_seconds())
        now = delivery.send_at

    assert waits == [30, 60, 120, 240, 480, 900, 900]


def test_a_reply_about_size_is_not_a_refusal_of_the_sender(sink: FaultySmtp) -> None:
    make_messages(2)
    sink.stage, sink.fault = "MAIL", "552 too large"

    beats(1)

    assert states() == {"failed": 2}


def test_a_refused_recipient_keeps_the_connection(sink: FaultySmtp) -> None:
    make_messages(3)
    sink.stage, sink.fault = "RCPT", "550 no such user"

    beats(1)

    assert states() == {"failed": 3}
    # The second connection is for the second and third message, which went out at once.
    assert sink.connections == 2
