"""Webhooks: a message as JSON, signed as in Standard Webhooks, for the platform of a course."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from operator import itemgetter
from typing import Any

from django.conf import settings
from standardwebhooks.webhooks import Webhook

from activity.models import Learner
from common.back_off import BackOff
from interventions.channels.base import (
    Answer,
    Channel,
    Draft,
    Outcome,
    Result,
    Route,
    Shown,
)
from interventions.channels.outside import NoAnswerError, NotReachedError, Reply, post
from interventions.channels.retry_after import retry_after
from interventions.models import WebhookEndpoint
from interventions.render.features import Feature
from interventions.render.short import check_short, preview_short, render_short

FORMAT = 1
GONE = 410
# The receiver judged this message, and would judge it in the same way again.
_REFUSED = frozenset({400, 413, 422})
_ASKS_TO_WAIT = frozenset({429, 503})
# The platform shows the message, so it may use all of its HTML.
SUPPORTS = frozenset({Feature.PICTURES, Feature.TABLES, Feature.SEVERAL_LINKS})
_NOT_TRIED = "the endpoint failed a moment ago"
AFTER_FAILURE = BackOff(timedelta(seconds=30), timedelta(minutes=15))


@dataclass(frozen=True)
class WebhookMessage:
    """A signed request to one endpoint."""

    endpoint_id: int
    url: str
    body: bytes
    headers: Mapping[str, str]
    written_at: datetime


def webhook_address(learner: Learner) -> str:
    """Return the learner's own name among the webhooks."""
    return f"webhook:{learner.external_id}"


def webhook_routes() -> Mapping[int | None, Route | None]:
    """Return the endpoints by course, None for one that is off. None is the site's. One query."""
    # Without the endpoints that are off, the site's would get what belongs to their courses.
    return {
        each.course_id: Route(each, each.down_until) if each.active else None
        for each in WebhookEndpoint.objects.all()
    }


def compose_webhook(draft: Draft) -> WebhookMessage:
    """Return the signed request. Raise ValueError if it cannot be written."""
    if draft.route is None:
        raise ValueError("No webhook endpoint is set up for the course.")
    endpoint: WebhookEndpoint = draft.route.row
    body = json.dumps(_content(draft), ensure_ascii=False, separators=(",", ":"))
    # The id is the same in all attempts, so that the receiver can drop a repeat.
    message_id = f"msg_{draft.delivery.key}"
    at = draft.written_at.astimezone(UTC)
    signatures = [Webhook(secret).sign(message_id, at, body) for secret in endpoint.secrets_at(at)]
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "Nudgelab",
        "webhook-id": message_id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": " ".join(signatures),
    }
    return WebhookMessage(endpoint.pk, endpoint.url, body.encode(), headers, at)


def _content(draft: Draft) -> dict[str, Any]:
    """Return the body, as docs/channels.md describes it."""
    rendered = render_short(subject=draft.text.subject, body=draft.text.body, context=draft.context)
    delivery = draft.delivery
    return {
        "format": FORMAT,
        "type": "message",
        "timestamp": draft.written_at.astimezone(UTC).isoformat(),
        "data": {
            "message": str(delivery.key),
            "learner": draft.learner.external_id,
            "course": delivery.enrollment.course.key,
            "category": delivery.category.key,
            "locale": draft.text.locale,
            "subject": rendered.subject,
            "html": rendered.html,
            "text": rendered.text,
            "reason": draft.context.told_reason,
            "expires_at": delivery.expires_at.astimezone(UTC).isoformat(),
            "preferences_url": draft.context.preferences_url,
            "unsubscribe_url": draft.context.unsubscribe_url,
        },
    }


class WebhookConnection:
    """Sends each message in a connection of its own.

    An endpoint that could not be reached or gave no answer is not tried again by this connection,
    so that a hanging receiver costs one wait and not one per message.
    """

    def __init__(self) -> None:
        self._given_up: set[int] = set()

    def open(self) -> None:
        """Do nothing: no endpoint is worth more than the others."""

    def send(self, message: WebhookMessage) -> Answer:
        """Post the message and return what the reply proves."""
        if message.endpoint_id in self._given_up:
            return _of_one(Result.CHANNEL_DOWN, _NOT_TRIED)
        answer = _answer(message)
        if answer.result in (Result.CHANNEL_DOWN, Result.IN_DOUBT):
            self._given_up.add(message.endpoint_id)
        return answer

    def close(self) -> None:
        """Forget the endpoints that failed."""
        self._given_up.clear()


def _answer(message: WebhookMessage) -> Answer:
    try:
        private = settings.WEBHOOKS_TO_PRIVATE_ADDRESSES
        reply = post(message.url, message.body, message.headers, allow_private=private)
    except NotReachedError as error:
        return _of_one(Result.CHANNEL_DOWN, str(error))
    except NoAnswerError as error:
        return _of_one(Result.IN_DOUBT, str(error))
    return _of_reply(reply, message.written_at)


def _of_reply(reply: Reply, now: datetime) -> Answer:
    """Return what a reply proves. A redirect is a failure, since it is not followed."""
    if 200 <= reply.status < 300:
        return Answer(Result.HANDED_OFF)
    if reply.status in _REFUSED:
        return Answer(Result.REFUSED, reply.words)
    if reply.status == GONE:
        # It says something about the endpoint, and nothing about the message.
        return _of_one(Result.CHANNEL_DOWN, reply.words)
    if reply.status in _ASKS_TO_WAIT:
        wait = retry_after(reply.retry_after, now=now)
        return _of_one(Result.CHANNEL_DOWN, reply.words, wait)
    if 300 <= reply.status < 400:
        return Answer(Result.NOT_ACCEPTED, f"{reply.words}: redirects are not followed")
    return Answer(Result.NOT_ACCEPTED, reply.words)


def _of_one(result: Result, detail: str, wait: timedelta | None = None) -> Answer:
    return Answer(result, detail, retry_after=wait, of_one_endpoint=True)


def record_webhooks(outcomes: Sequence[Outcome], *, now: datetime) -> None:
    """Note on each endpoint what its answers say about it.

    An endpoint that failed rests with a back-off, so that the other messages to it wait unclaimed.
    One that answers 410 (Gone) is switched off, and staff see it. Its messages wait.
    """
    answers = {
        (each.message.endpoint_id, each.message.url): each.answer
        for each in outcomes
        if each.answer.detail != _NOT_TRIED
    }
    for (endpoint_id, url), answer in sorted(answers.items(), key=itemgetter(0)):
        # The answer says nothing about an address that was entered meanwhile. On an endpoint that
        # is off, it must not write over the reason.
        endpoints = WebhookEndpoint.objects.filter(pk=endpoint_id, url=url, active=True)
        if answer.result is Result.HANDED_OFF:
            working = {"failures": 0, "down_until": None, "last_error": ""}
            endpoints.exclude(**working).update(**working)
        elif answer.result is Result.CHANNEL_DOWN and answer.detail.startswith(f"{GONE} "):
            endpoints.update(active=False, disabled_at=now, last_error=answer.detail)
        else:
            _rest(endpoints.first(), answer, now)


def _rest(endpoint: WebhookEndpoint | None, answer: Answer, now: datetime) -> None:
    if endpoint is None or answer.result is Result.REFUSED:
        return
    wait = max(answer.retry_after or timedelta(0), AFTER_FAILURE.after(endpoint.failures + 1))
    WebhookEndpoint.objects.filter(pk=endpoint.pk).update(
        failures=min(endpoint.failures + 1, 1000),
        down_until=now + wait,
        last_error=answer.detail[:300],
    )


def show_webhook(message: WebhookMessage) -> Shown:
    """Return what the platform gets to show to the learner."""
    data = json.loads(message.body)["data"]
    return Shown(data["subject"], data["html"], data["text"])


WEBHOOK = Channel(
    verb="WEBHOOK_SENT",
    address=webhook_address,
    compose=compose_webhook,
    show=show_webhook,
    check=partial(check_short, supports=SUPPORTS),
    preview=preview_short,
    connect=WebhookConnection,
    supports=SUPPORTS,
    drops_repeats=True,
    routes=webhook_routes,
    record=record_webhooks,
    # Other endpoints do not wait for one that hangs.
    connections=lambda: 8,
)
