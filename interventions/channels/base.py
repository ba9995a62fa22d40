"""The interface of a channel: its declarations, its input and its answers."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol

from activity.models import Learner
from interventions.models import Delivery, TemplateText
from interventions.render.context import MessageContext
from interventions.render.mail import Rendered


@dataclass(frozen=True)
class Draft:
    """The input from which a channel composes a message.

    `address` is the learner's address from the channel. `message_id` is the same in all attempts,
    so that the other side can recognize a second copy.
    """

    delivery: Delivery
    learner: Learner
    text: TemplateText
    context: MessageContext
    address: str
    message_id: str
    written_at: datetime


@dataclass(frozen=True)
class Shown:
    """What a learner reads in a composed message, and by whom it seems to be sent."""

    subject: str
    html: str
    text: str
    sender: str = ""
    reply_to: str = ""


class Result(StrEnum):
    """The known result of an attempt."""

    HANDED_OFF = "handed_off"
    # Certainly not accepted, and not because of the message: the whole channel is down.
    CHANNEL_DOWN = "channel_down"
    # This recipient or message was refused for now; another attempt may succeed.
    NOT_ACCEPTED = "not_accepted"
    # Refused for good.
    REFUSED = "refused"
    # It may or may not have been accepted.
    IN_DOUBT = "in_doubt"

    @property
    def stops_the_channel(self) -> bool:
        """Return whether the next message would most likely have the same result."""
        return self in (Result.CHANNEL_DOWN, Result.IN_DOUBT)


@dataclass(frozen=True)
class Answer:
    """The result, with the reply of the other side as detail.

    `may_be_the_message` means that this message may be the cause of a channel being down.
    """

    result: Result
    detail: str = ""
    may_be_the_message: bool = False


class ChannelDownError(Exception):
    """The other side cannot be reached. Nothing was handed off."""


class Connection(Protocol):
    """The connection of one dispatch loop to the other side. Only it does I/O."""

    def open(self) -> None:
        """Connect if needed, before anything is claimed. Raise ChannelDownError."""

    def send(self, message: Any) -> Answer:
        """Hand the message off and return the answer. A refusal is an answer, not an exception."""

    def close(self) -> None:
        """Disconnect. It can be opened again."""


class Check(Protocol):
    """Raise TemplateError with a sentence if no message can be composed from the texts."""

    def __call__(self, *, subject: str, body: str) -> None: ...


@dataclass(frozen=True, kw_only=True)
class Channel:
    """One channel with all its functions.

    `verb` is the event of a hand-off. It must be built in and must not be an act of the learner.
    `address` returns the learner's address, or an empty text if there is none. `compose` returns
    the message for the connection, without I/O, or raises ValueError with the reason. `show`
    returns what the learner reads in it, to be kept. `preview` returns a text with example values,
    or raises TemplateError.
    """

    verb: str
    address: Callable[[Learner], str]
    compose: Callable[[Draft], Any]
    show: Callable[[Any], Shown]
    check: Check
    preview: Callable[[TemplateText], Rendered]
    connect: Callable[[], Connection]
