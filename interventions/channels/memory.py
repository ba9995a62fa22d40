"""A channel that keeps messages in a list, for tests and dry runs."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from interventions.channels.base import Answer, Channel, ChannelDownError, Draft, Result, Shown
from interventions.channels.email import EMAIL
from interventions.render.mail import render_message

ACCEPTED = Answer(Result.HANDED_OFF)


@dataclass(frozen=True)
class MemoryMessage:
    """The message that a learner would read."""

    address: str
    message_id: str
    subject: str
    html: str
    unsubscribe_url: str


class MemoryConnection:
    """Returns the result of `answer`, and keeps the messages that are handed off."""

    def __init__(
        self, answer: Callable[[MemoryMessage], Answer] = lambda message: ACCEPTED
    ) -> None:
        self.answer = answer
        self.sent: list[MemoryMessage] = []
        self.down = False

    def open(self) -> None:
        """Refuse while `down` is set."""
        if self.down:
            raise ChannelDownError("the memory channel is down")

    def send(self, message: MemoryMessage) -> Answer:
        """Return the result of `answer`, and keep the message if it was handed off."""
        answer = self.answer(message)
        if answer.result is Result.HANDED_OFF:
            self.sent.append(message)
        return answer

    def close(self) -> None:
        """Do nothing."""


def memory_channel(connection: MemoryConnection) -> Channel:
    """Return a channel that replaces email and sends over the connection."""
    return replace(
        EMAIL,
        compose=_compose,
        show=_show,
        connect=lambda: connection,
        connections=lambda: 1,
        per_second=lambda: 0.0,
    )


def _show(message: MemoryMessage) -> Shown:
    return Shown(message.subject, message.html, "")


def _compose(draft: Draft) -> MemoryMessage:
    rendered = render_message(
        subject=draft.text.subject,
        body=draft.text.body,
        context=draft.context,
        postal_address="",
        locale=draft.text.locale,
    )
    return MemoryMessage(
        address=draft.address,
        message_id=draft.message_id,
        subject=rendered.subject,
        html=rendered.html,
        unsubscribe_url=draft.context.unsubscribe_url,
    )
