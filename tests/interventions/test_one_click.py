"""One-click unsubscribing (RFC 8058) through a mail server that signs, up to the learner's POST.

Nudgelab does not sign. The mail server of the operator does, as docs/operating.md says; the server
of these tests signs with the headers that are named there.
"""

import base64
import re
from email import message_from_bytes
from email.message import Message
from functools import cache
from urllib.parse import urlsplit

import dkim
import pytest
from aiosmtpd.smtp import SMTP, Envelope, Session
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from django.test import Client, override_settings

from activity.models import Event
from interventions.models import Consent, Delivery
from interventions.render.links import LinkOwner, make_token
from interventions.stages.dispatch import dispatch_due
from tests.factories import NOW, make_learner
from tests.guards.code import ROOT
from tests.interventions.factories import (
    dispatch,
    make_cadence,
    make_delivery,
    make_evaluated,
    make_live_course,
    make_template,
)
from tests.smtp import ACCEPTED, SmtpSink, serve

pytestmark = pytest.mark.django_db


@cache
def key() -> rsa.RSAPrivateKey:
    """Return the key of these tests, made when the first of them needs it."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def private_key() -> bytes:
    """Return the key as the mail server reads it."""
    return key().private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def dns_record() -> bytes:
    """Return what the domain of the sender says of its key."""
    public = (
        key()
        .public_key()
        .public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    return b"v=DKIM1; k=rsa; p=" + base64.b64encode(public)


class SigningSink(SmtpSink):
    """A relay that signs what it gets, and keeps the signed bytes."""

    def __init__(self) -> None:
        super().__init__()
        self.signed: list[bytes] = []

    async def handle_DATA(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        """Sign the mail and keep it."""
        mail = envelope.content
        signature = dkim.sign(
            mail, b"news", b"example.org", private_key(), include_headers=signed_headers()
        )
        self.signed.append(signature + mail)
        return ACCEPTED


def signed_headers() -> list[bytes]:
    """Return the headers to sign that the page for operators names."""
    page = (ROOT / "docs" / "operating.md").read_text()
    (names,) = re.findall(r"^Sign at least: (.*)\.$", page, re.MULTILINE)
    return [name.strip(" `").lower().encode() for name in names.split(",")]


@pytest.fixture
def signed(settings) -> bytes:
    """Return a mail to a learner as the operator's server passes it on."""
    settings.BASE_URL = "https://nudgelab.learning.example-university.org"
    course = make_live_course(title="Einführung in die Wahrscheinlichkeitsrechnung und Statistik")
    learner = make_learner(name="Zoë Ünal")
    make_delivery(make_evaluated(course, learner), make_cadence(template=make_template()))
    with serve(SigningSink()) as sink:
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = sink.host, sink.port
        assert dispatch_due(clock=lambda: NOW) == {"handed_off": 1}
        assert isinstance(sink, SigningSink)
        (mail,) = sink.signed
    return mail


def is_valid(mail: bytes) -> bool:
    """Return whether a receiver finds the signature valid. The key comes from its DNS."""
    return dkim.verify(mail, dnsfunc=lambda name, timeout=5: dns_record())


def test_the_signature_covers_both_headers_and_is_valid(signed: bytes) -> None:
    header = message_from_bytes(signed)["DKIM-Signature"]
    (named,) = re.findall(r"\bh=([^;]*);", re.sub(r"\s", "", header))
    covered = named.lower().split(":")

    assert is_valid(signed)
    assert {"list-unsubscribe", "list-unsubscribe-post", "list-id"} <= set(covered)
    # Named twice, so that nobody can add a second sender.
    assert covered.count("from") == 2


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b" <https://nudgelab", b" <https://evil"),
        (b"List-Unsubscribe-Post: List-Unsubscribe=One-Click", b"List-Unsubscribe-Post: other"),
        (b"\r\nSubject:", b"\r\nFrom: somebody@example.com\r\nSubject:"),
    ],
    ids=["another address", "no one-click", "a second sender"],
)
def test_a_mail_that_was_changed_on_its_way_is_not_valid(
    signed: bytes, old: bytes, new: bytes
) -> None:
    changed = signed.replace(old, new, 1)

    assert changed != signed
    assert not is_valid(changed)


def test_the_headers_are_written_as_they_are(signed: bytes) -> None:
    # Encoded as a word of RFC 2047 they end one-click, and the address is longer than a line.
    head = signed.split(b"\r\n\r\n", 1)[0]
    (address,) = re.findall(rb"^List-Unsubscribe:\s+(.*)", head, re.MULTILINE)
    (post,) = re.findall(rb"^List-Unsubscribe-Post: (.*)", head, re.MULTILINE)

    assert re.fullmatch(rb"<https://[!-;=?-~]+>\r?", address)
    assert len(address) > 77
    assert post.strip() == b"List-Unsubscribe=One-Click"


def opt_out_of(mail: Message) -> str:
    """Return the path to which a mail program posts."""
    return urlsplit(str(mail["List-Unsubscribe"]).strip(" \r\n<>")).path


def words() -> list[tuple[str, str]]:
    return list(Consent.objects.values_list("state", "source"))


def test_a_mail_program_unsubscribes_by_the_signed_mail_alone(signed: bytes) -> None:
    stranger = Client(enforce_csrf_checks=True)
    path = opt_out_of(message_from_bytes(signed))

    for read in (stranger.get, stranger.head):
        assert read(path).status_code == 200
    assert words() == []
    for _ in range(3):
        response = stranger.post(path, {"List-Unsubscribe": "One-Click"})
        assert (response.status_code, response.cookies) == (200, {})

    assert words() == [("out", "one_click")]
    assert Event.objects.filter(verb="UNSUBSCRIBED").count() == 1
    delivery = Delivery.objects.get()
    make_delivery(delivery.enrollment)
    assert dispatch()[0] == []


def test_a_token_of_another_site_or_put_together_of_two_is_refused() -> None:
    owners = []
    for _ in range(2):
        delivery = make_delivery()
        owners.append(LinkOwner(delivery.learner_id, delivery.enrollment_id, delivery.key))
    mine, other = map(make_token, owners)
    with override_settings(SECRET_KEY="the key of another site"):
        foreign = make_token(owners[0])
    assert foreign != mine
    mixed = mine.rpartition(":")[0] + ":" + other.rpartition(":")[2]

    for token in (foreign, mixed, mine.swapcase(), mine + "x"):
        assert Client().post(f"/unsubscribe/{token}/").status_code == 404
    assert words() == []
    assert Client().post(f"/unsubscribe/{mine}/").status_code == 200
