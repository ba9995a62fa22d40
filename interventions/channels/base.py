"""The interface of a channel: its declarations, its input and its answers."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Protocol

from activity.models import Learner
from interventions.models import Delivery, TemplateText
from interventions.render.context import MessageContext
from interventions.render.features import Feature
from interventions.render.mail import Rendered


@dataclass(frozen=True)
class Route:
    """Where the messages of a course go, on a channel that an admin sets up by course.

    `row` is the endpoint or site. No message goes there before `down_until`.
    """

    row: Any = None
    down_until: datetime | None = None


@dataclass(frozen=True)
class Draft:
    """The input from which a channel composes a message.

    `address` is the learner's address from the channel. `message_id` is the same in all attempts,
    so that the other side can recognize a second copy. `route` is that of the course, if the
    channel has routes.
    """

    delivery: Delivery
    learner: Learner
    text: TemplateText
    context: MessageContext
    address: str
    message_id: str
    written_at: datetime
    route: Route | None = None


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


@dataclass(frozen=True)
class Answer:
    """The result, with the reply of the other side as detail.

    `may_be_the_message` means that this message may be the cause of a channel being down.
    `retry_after` is the time for which the other side asked to be left alone. `asks_for_less` means
    that it asked for fewer messages without saying for how long.
    `of_one_endpoint` means that only one of several other sides gave the answer, so that the
    channel goes on with the others.
    `provider_id` is the id of an accepted message at the provider, after the provider's name and a
    colon.
    """

    result: Result
    detail: str = ""
    may_be_the_message: bool = False
    retry_after: timedelta | None = None
    asks_for_less: bool = False
    of_one_endpoint: bool = False
    provider_id: str = ""

    @property
    def stops_the_channel(self) -> bool:
        """Return whether the next message would most likely have the same result."""
        stops = self.result in (Result.CHANNEL_DOWN, Result.IN_DOUBT)
        return stops and not self.of_one_endpoint

    @property
    def is_throttling(self) -> bool:
        """Return whether messages must go out more slowly, or not at all for a while."""
        asks = self.asks_for_less or self.retry_after is not None
        return asks and not self.of_one_endpoint


@dataclass(frozen=True)
class Outcome:
    """The answer to one message, with its delivery as it was recorded."""

    delivery: Delivery
    message: Any
    answer: Answer


class UnsupportedError(Exception):
    """The channel lacks a feature. The message is a sentence."""


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
    """Raise TemplateError with a sentence if no message can be composed from the texts.

    It also refuses markup that the channel does not support.
    """

    def __call__(self, *, subject: str, body: str) -> None: ...


class Record(Protocol):
    """Write the channel's own rows, in the transaction that records the answers. No I/O.

    It may get the same message again, and must keep one row of it.
    """

    def __call__(self, outcomes: Sequence[Outcome], *, now: datetime) -> None: ...


@dataclass(frozen=True, kw_only=True)
class Channel:
    """One channel with all its functions.

    `verb` is the event of a hand-off. It must be built in and must not be an act of the learner.
    `address` returns the learner's address, or an empty text if there is none. `compose` returns
    the message for the connection, without I/O, or raises ValueError with the reason. `show`
    returns what the learner reads in it, to be kept. `preview` returns a text with example values,
    or raises TemplateError.

    `supports` names the features of the channel. `is_mail` says that messages go to the learner's
    own mail address, which may be missing, and that they wait while an instructor talks with the
    learner. `is_for_staff` says that staff read the messages, which are therefore in the course's
    language. `is_local` says that the other side is our own database: `record` hands the messages
    off, and an attempt that is not recorded has certainly handed off nothing. `drops_repeats` says
    that the other side knows a repeat by its id, so that a message in doubt can be sent again.

    `routes` reads where the messages of each course go, by course id; None stands for all other
    courses. A course without a route of its own in it uses theirs; one whose own is None has none.
    A channel without `routes` needs no route.

    `connections` returns over how many connections a worker may send at once. If a connection uses
    the database, it must be only one. `per_second` returns how many messages all workers together
    may send in a second; 0 is no limit.
    """

    verb: str
    address: Callable[[Learner], str]
    compose: Callable[[Draft], Any]
    show: Callable[[Any], Shown]
    check: Check
    preview: Callable[[TemplateText], Rendered]
    connect: Callable[[], Connection]
    supports: frozenset[Feature] = frozenset()
    is_mail: bool = False
    is_for_staff: bool = False
    is_local: bool = False
    drops_repeats: bool = False
    routes: Callable[[], Mapping[int | None, Route | None]] | None = None
    record: Record | None = None
    connections: Callable[[], int] = lambda: 1
    per_second: Callable[[], float] = lambda: 0.0

    def require(self, feature: Feature) -> None:
        """Raise UnsupportedError if the channel lacks the feature."""
        if feature not in self.supports:
            raise UnsupportedError(f"This channel has no {feature}.")
