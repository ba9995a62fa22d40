"""A report finds its message by the id that the provider gave it, or by what we sent along."""

from typing import Any

import pytest
from django.core import mail

from interventions.channels.mail import compose_mail
from interventions.models import Delivery
from interventions.operations import record_reports
from interventions.queries.drafts import Recipient, draft_of
from interventions.queries.texts import TextCache
from interventions.render.context import SAMPLE
from interventions.stages.dispatch import dispatch_due
from interventions.tracking.reports import Report
from tests.factories import NOW
from tests.interventions.factories import make_delivery

pytestmark = pytest.mark.django_db

BACKEND = "anymail.backends.test.EmailBackend"


def test_hand_off_keeps_the_id_that_the_provider_gives(settings: Any) -> None:
    settings.EMAIL_BACKEND = BACKEND
    mail.outbox = []
    delivery = make_delivery()

    assert dispatch_due(clock=lambda: NOW) == {"handed_off": 1}

    delivery.refresh_from_db()
    (sent,) = mail.outbox
    given = str(sent.anymail_status.message_id)
    assert delivery.provider_id == f"test:{given}"
    record_reports([Report(provider="test", message_id=given, kind="delivered", at=NOW)], now=NOW)
    delivery.refresh_from_db()
    assert delivery.state == "delivered"


@pytest.mark.parametrize(
    ("backend", "is_sent_along"),
    [
        (BACKEND, True),
        ("anymail.backends.mailersend.EmailBackend", False),
        ("django.core.mail.backends.smtp.EmailBackend", False),
    ],
)
def test_key_is_sent_along_where_the_provider_takes_it(
    settings: Any, backend: str, is_sent_along: bool
) -> None:
    settings.EMAIL_BACKEND = backend
    delivery = make_delivery()
    text = TextCache().choose(delivery.step.template, ("en",))

    to = Recipient(delivery.learner, "ana@example.org")
    composed = compose_mail(draft_of(delivery, text, to, SAMPLE, now=NOW))

    expected = {"delivery": str(Delivery.objects.get().key)} if is_sent_along else None
    assert getattr(composed, "metadata", None) == expected
