"""What a channel declares and can do, what it is given, and what it answers."""

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
    """What a message is composed from.

    `address` is the one that the channel gave for the learner. `message_id` stays the same over all
    attempts, so that the other side can tell a second copy.
    """

    delivery: Delivery
    learner: Learner
    text: TemplateText
    context: MessageContext
    address: str
    message_id: str
    written_at: datetime


class Result(StrEnum):
    """What is known after the attempt."""

    HANDED_OFF = "handed_off"
    # Proven not to have been accepted, and no fault of the message: nothing gets through.
    CHANNEL_DOWN = "channel_down"
    # This recipient or message was refused for now; another attempt may succeed.
    NOT_ACCEPTED = "not_accepted"
    # Refused for good.
    REFUSED = "refused"
    # It may or may not have been accepted.
    IN_DOUBT = "in_doubt"

    @property
    def stops_the_channel(self) -> bool:
        """Return whether the next message would most likely fare the same."""
        return self in (Result.CHANNEL_DOWN, Result.IN_DOUBT)


@dataclass(frozen=True)
class Answer:
    """The result with the words of the other side.

    `may_be_the_message` says of a channel that is down that this very message may be the cause.
    """

    result: Result
    detail: str = ""
    may_be_the_message: bool = False


class ChannelDownError(Exception):
    """The other side cannot be reached; nothing was handed off."""


class Connection(Protocol):
    """The way to the other side, of one dispatch loop. It alone does I/O."""

    def open(self) -> None:
        """Be live, before anything is claimed. Raise ChannelDownError."""

    def send(self, message: Any) -> Answer:
        """Hand the message off and say what is known of it. A refusal is no exception."""

    def close(self) -> None:
        """Let go. It can be opened again."""


class Check(Protocol):
    """Raises TemplateError with a sentence where no message can be composed of the texts."""

    def __call__(self, *, subject: str, body: str) -> None: ...


@dataclass(frozen=True, kw_only=True)
class Channel:
    """One channel: all that is to know of it.

    `verb` is the event of a hand-off: built in, and no act of the learner. `address` gives where
    the learner is reached, empty where they cannot be. `compose` gives the message as the
    connection sends it, without I/O, or raises ValueError with the reason. `preview` gives a text
    with example values, or raises TemplateError.
    """

    verb: str
    address: Callable[[Learner], str]
    compose: Callable[[Draft], Any]
    check: Check
    preview: Callable[[TemplateText], Rendered]
    connect: Callable[[], Connection]
