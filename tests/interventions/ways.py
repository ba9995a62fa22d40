"""Every channel with its other side, for the contract of channels."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import pytest

from activity.models import Event, Learner, Verb
from interventions.channels import CHANNELS, Answer, Channel, Result
from interventions.channels.email import EMAIL
from interventions.channels.in_app import IN_APP
from interventions.channels.memory import MemoryConnection, memory_channel
from interventions.channels.task import TASK
from interventions.channels.webhook import WEBHOOK
from interventions.models import (
    CourseSite,
    Delivery,
    InAppMessage,
    InstructorTask,
    WebhookEndpoint,
)
from interventions.operations import save_course_site, save_endpoint
from interventions.stages.dispatch import dispatch_due
from tests.factories import NOW, make_learner
from tests.http_sink import HttpSink
from tests.interventions.factories import make_delivery, make_evaluated, make_run
from tests.smtp import SmtpSink


def pigeonhole(learner: Learner) -> str:
    """Return the number of the learner's pigeonhole, or an empty text."""
    return str(learner.traits.get("pigeonhole", ""))


@dataclass
class Way:
    """A channel with its other side: its received messages, and a way to make it refuse.

    The other side of a local channel is our own database, which cannot refuse. A learner without
    an address on the channel is `unreachable`, if there can be one.
    """

    name: str
    channel: Channel
    reachable: dict[str, object]
    arrived: Callable[[], list[str]]
    have_it: Callable[[str], None] = lambda trouble: None
    unreachable: dict[str, object] = field(default_factory=dict)

    def make(self, *, run=None, **learner) -> Delivery:
        """Return a due message of the channel."""
        if run is None:
            run = make_run(make_evaluated(learner=make_learner(**(learner or self.reachable))))
        return make_delivery(run=run, channel=self.name)

    def dispatch(self, now: datetime = NOW) -> dict[str, int]:
        return dict(dispatch_due(clock=lambda: now, channels={self.name: self.channel}))

    def events(self) -> int:
        return Event.objects.filter(verb=self.channel.verb).count()


def memory_way(monkeypatch: pytest.MonkeyPatch) -> Way:
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


def email_way(smtp_sink: SmtpSink, settings: Any) -> Way:
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


def webhook_way(sink: HttpSink, settings: Any) -> Way:
    settings.WEBHOOKS_TO_PRIVATE_ADDRESSES = True
    endpoint = WebhookEndpoint(url=f"{sink.url}/hook")
    save_endpoint(endpoint)
    troubles = {"refuse": ("status", 422), "put off": ("status", 500), "hang up": ("drop", True)}

    def have_it(trouble: str) -> None:
        if trouble == "be away":
            # Nobody listens at this port.
            endpoint.url = "http://127.0.0.1:1/hook"
            endpoint.save()
        elif trouble == "come back":
            endpoint.url = f"{sink.url}/hook"
            save_endpoint(endpoint)
        else:
            setattr(sink, *troubles[trouble])

    def arrived() -> list[str]:
        named = (json.loads(each.body)["data"]["learner"] for each in sink.posted)
        return [] if sink.drop else [f"webhook:{each}" for each in named]

    return Way(
        name="webhook",
        channel=WEBHOOK,
        reachable={"email": "ana@example.org"},
        arrived=arrived,
        have_it=have_it,
    )


def in_app_way() -> Way:
    save_course_site(CourseSite(name="Campus"))
    shown = InAppMessage.objects.select_related("learner").order_by("pk")
    return Way(
        name="in_app",
        channel=IN_APP,
        reachable={"email": "ana@example.org"},
        arrived=lambda: [f"in-app:{each.learner.external_id}" for each in shown.all()],
    )


def task_way() -> Way:
    tasks = InstructorTask.objects.select_related("enrollment__learner").order_by("pk")
    return Way(
        name="task",
        channel=TASK,
        reachable={"email": "ana@example.org"},
        arrived=lambda: [f"task:{each.enrollment.learner.external_id}" for each in tasks.all()],
    )
